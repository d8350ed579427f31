import { BaseLlm, InMemoryRunner, LlmAgent, type LlmRequest, StreamingMode } from "npm:@google/adk@2.0.0";
import { googleAdk } from "../../../sdk/adapters/mod.ts";
import { converse, scripted } from "./turns.ts";

class ScriptedLlm extends BaseLlm {
  async *generateContentAsync({ contents }: LlmRequest, _stream?: boolean, signal?: AbortSignal) {
    const users = contents.filter(({ role }) => role === "user").map(({ parts }) =>
      (parts ?? []).map(({ text }) => text ?? "").join("")
    );
    let all = "";
    for (const text of scripted(users)) {
      signal?.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 1));
      all += text;
      yield { content: { role: "model", parts: [{ text }] }, partial: true };
    }
    yield { content: { role: "model", parts: [{ text: all }] } };
  }
  connect(): never {
    throw new Error("not used");
  }
}
const agent = new LlmAgent({ name: "scripted", model: new ScriptedLlm({ model: "scripted" }), instruction: "Answer" });
void StreamingMode;
await converse(googleAdk(new InMemoryRunner({ agent, appName: "agentanycast" }) as any));
