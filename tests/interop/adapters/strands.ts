import { Agent, Model } from "npm:@strands-agents/sdk@1.19.0";
import { strandsAgent } from "../../../sdk/adapters/mod.ts";
import { converse, scripted } from "./turns.ts";

class ScriptedModel extends (Model as any) {
  #config = { modelId: "scripted" };
  updateConfig() {}
  getConfig() {
    return this.#config;
  }
  async *stream(messages: any[]) {
    const users = messages.filter(({ role }) => role === "user").map(({ content }) =>
      content.map((block: any) => block.text ?? "").join("")
    );
    yield { type: "modelMessageStartEvent", role: "assistant" };
    yield { type: "modelContentBlockStartEvent" };
    for (const text of scripted(users)) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      yield { type: "modelContentBlockDeltaEvent", delta: { type: "textDelta", text } };
    }
    yield { type: "modelContentBlockStopEvent" };
    yield { type: "modelMessageStopEvent", stopReason: "endTurn" };
  }
}
await converse(strandsAgent(() => new Agent({ model: new ScriptedModel() as any, printer: false }) as any));
