import { Agent, type Model, type ModelRequest, Runner } from "npm:@openai/agents@0.20.0";
import { openAiAgent } from "../../../sdk/adapters/mod.ts";
import { converse, scripted } from "./turns.ts";

/** A model that answers by script, in pieces. */
const model = {
  async getResponse() {
    throw new Error("the adapter streams");
  },
  async *getStreamedResponse({ input, signal }: ModelRequest) {
    const items = typeof input === "string" ? [{ role: "user", content: input }] : input;
    const users = items.filter((item: any) => item.role === "user").map((item: any) =>
      typeof item.content === "string" ? item.content : item.content.map((part: any) => part.text).join("")
    );
    let text = "";
    for (const delta of scripted(users)) {
      signal?.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 1));
      text += delta;
      yield { type: "output_text_delta", delta };
    }
    yield {
      type: "response_done",
      response: {
        id: "r",
        usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 },
        output: [{ type: "message", id: "m", role: "assistant", status: "completed", content: [{ type: "output_text", text }] }],
      },
    };
  },
} as unknown as Model;
const agent = new Agent({ name: "Scripted", instructions: "Answer", model });
const runner = new Runner({ tracingDisabled: true });
await converse(openAiAgent({ agent, run: (...given) => runner.run(...given as [any, any, any]) as any }));
