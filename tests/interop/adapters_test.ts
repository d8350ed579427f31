// The adapters with the real packages of their frameworks and scripted models. The programs are in adapters/; they are run
// with a lock of their own, so that no framework gets into that of the product.
import assert from "node:assert/strict";
import { tempDir } from "../support/temp_dir.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

interface Says {
  delta?: string;
  text?: string;
  question?: string;
}

/** What a program prints, a value per line of JSON. */
async function runProgram(name: string): Promise<Record<string, Says[] & string>[]> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", `${ROOT}tests/interop/adapters/${name}.ts`],
    cwd: ROOT,
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const lines = new TextDecoder().decode(stdout).trim().split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line));
}

function checkAnswer(says: readonly Says[] | undefined, expected: string): void {
  const deltas = (says ?? []).flatMap(({ delta }) => delta ?? []);
  assert.ok(deltas.length > 1, "it is written piece by piece");
  assert.equal(deltas.join(""), expected);
  assert.equal(says?.at(-1)?.text, expected);
}

for (const name of ["lang_graph", "openai_agents", "google_adk", "strands", "ai_sdk", "mastra"]) {
  Deno.test(`the adapter ${name} streams, remembers conversations and stops when it is called off`, async () => {
    const [talk] = await runProgram(name);
    checkAnswer(talk?.first, "You said: My name is Ada");
    checkAnswer(talk?.second, "You said: My name is Ada | What is my name?");
    assert.equal(talk?.stopped, "stopped");
  });
}

Deno.test("the adapter lang_graph turns an interrupt into a question and goes on with the answer", async () => {
  const [, order] = await runProgram("lang_graph");
  assert.deepEqual(order?.question, [{ question: "Which colour?" }]);
  assert.deepEqual(order?.answer, [{ text: "A blue cat" }]);
});

Deno.test("the adapter claude_agent drives the real SDK, streams, and goes on with the session", async () => {
  const [talk] = await runProgram("claude_agent");
  checkAnswer(talk?.first, "You said: My name is Ada");
  checkAnswer(talk?.second, "You said: What is my name? (resumed session-1)");
});

Deno.test("the examples of adapters fit the types of their frameworks", async () => {
  const folder = `${ROOT}examples/adapters`;
  const files: string[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    if (name.endsWith(".ts")) files.push(`${folder}/${name}`);
  }
  assert.equal(files.length, 8);
  // The configuration of the product leaves them out.
  await using dir = await tempDir();
  const { exclude: _, ...config } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  await Deno.writeTextFile(`${dir.path}/deno.json`, JSON.stringify(config));
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--no-lock", "--config", `${dir.path}/deno.json`, ...files],
    cwd: ROOT,
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
});
