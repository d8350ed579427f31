// A real CrewAI crew, the example as it is, with a model that is played.
import assert from "node:assert/strict";
import { join } from "node:path";
import { processAgent, toTaskHandler } from "../../sdk/adapters/mod.ts";
import { FakeTask, said } from "../sdk/adapters/fake_task.ts";
import { tempDir } from "../support/temp_dir.ts";
import { findPythonPackage } from "./python_package.ts";

const CREW = join(import.meta.dirname ?? ".", "..", "..", "examples", "adapters", "crew.py");
const found = await findPythonPackage("crewai-1.15.30", ["crewai==1.15.30"]);
if ("missing" in found) console.warn(`Skipping the test with CrewAI: ${found.missing}`);

/** A model that says the same to whoever asks, and what it was asked. */
function startModel() {
  const asked: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { messages, model } = await request.json();
    asked.push(messages.at(-1).content);
    const message = { role: "assistant", content: "Final Answer: It is solid." };
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
    const choices = [{ index: 0, finish_reason: "stop", message }];
    return Response.json({ id: "1", object: "chat.completion", created: 1, model, choices, usage });
  });
  return {
    asked,
    url: `http://127.0.0.1:${server.addr.port}/v1`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test({
  name: "processAgent() runs a CrewAI crew, one process for all its tasks",
  ignore: "missing" in found,
  fn: async () => {
    await using home = await tempDir();
    await using model = startModel();
    const env = {
      ...{ OPENAI_API_KEY: "none", OPENAI_BASE_URL: model.url, HOME: home.path },
      ...{ CREWAI_DISABLE_TELEMETRY: "true", CREWAI_TRACING_ENABLED: "false", OTEL_SDK_DISABLED: "true" },
    };
    const command = "missing" in found ? "" : found.python;
    await using agent = processAgent({ command, args: [CREW], env, onStderr: () => {} });
    for (const topic of ["Batteries", "Tea"]) {
      const fake = new FakeTask([said(topic)]);
      await toTaskHandler(agent.run)(fake.task);
      assert.equal(fake.completed[0]?.parts[0]?.text, "It is solid.");
      assert.match(model.asked.at(-1) ?? "", new RegExp(`Research ${topic}`));
    }
  },
});
