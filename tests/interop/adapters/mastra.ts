import { Agent } from "npm:@mastra/core@1.71.0/agent";
import { MockLanguageModelV2 } from "npm:ai@5.0.0/test";
import { mastraAgent } from "../../../sdk/adapters/mod.ts";
import { converse, scripted } from "./turns.ts";

const model = new MockLanguageModelV2({
  doStream: async ({ prompt, abortSignal }: any) => {
    const users = prompt.filter(({ role }: any) => role === "user").map(({ content }: any) =>
      content.map(({ text }: any) => text).join("")
    );
    const stream = new ReadableStream({
      async start(controller) {
        controller.enqueue({ type: "stream-start", warnings: [] });
        controller.enqueue({ type: "text-start", id: "1" });
        try {
          for (const delta of scripted(users)) {
            abortSignal?.throwIfAborted();
            await new Promise((resolve) => setTimeout(resolve, 1));
            controller.enqueue({ type: "text-delta", id: "1", delta });
          }
        } catch (error) {
          return controller.error(error);
        }
        controller.enqueue({ type: "text-end", id: "1" });
        controller.enqueue({
          type: "finish",
          finishReason: "stop",
          usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 },
        });
        controller.close();
      },
    });
    return { stream };
  },
});
const agent = new Agent({ id: "scripted", name: "scripted", instructions: "Answer", model: model as any });
await converse(mastraAgent(agent as any));
