import { ToolLoopAgent } from "npm:ai@7.0.173";
import { MockLanguageModelV4 } from "npm:ai@7.0.173/test";
import { aiSdkAgent } from "../../../sdk/adapters/mod.ts";
import { converse, scripted } from "./turns.ts";

const model = new MockLanguageModelV4({
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
          finishReason: { unified: "stop", raw: "stop" },
          usage: { inputTokens: { total: 1 }, outputTokens: { total: 1 } },
        });
        controller.close();
      },
    });
    return { stream };
  },
} as any);
await converse(aiSdkAgent(new ToolLoopAgent({ model }) as any));
