import type { Contender } from "./contender.ts";
import { openEngineNode } from "./engine_node.ts";
import { makeHome, startHelper } from "./programs.ts";

/** Tasks from an engine in this process to one in another, one hop each way: everything a daemon does but gRPC. */
export async function startEngine({ fastLane }: { fastLane: boolean }): Promise<Contender> {
  await using stack = new AsyncDisposableStack();
  const [nearHome, farHome] = [stack.use(await makeHome()).path, stack.use(await makeHome()).path];
  const far = stack.use(await startHelper("engine_node.ts", [farHome, String(fastLane)]));
  const { engine, host } = stack.use(await openEngineNode(nearHome, { fastLane }));
  const peerId = far.ready.split("/p2p/").at(-1) ?? "";
  await host.connect(peerId, [far.ready]);
  const owned = stack.move();
  return {
    pids: [far.pid],
    async roundTrip(text) {
      const content = { kind: "text", text } as const;
      const { taskId } = await engine.sendTask({
        peerId,
        message: {
          messageId: crypto.randomUUID(),
          role: "user",
          parts: [{ content, mediaType: "", metadata: {} }],
          createdAtMs: Date.now(),
        },
      });
      for await (const { artifacts } of engine.subscribe(taskId)) {
        const back = artifacts[0]?.parts[0]?.content;
        if (back?.kind === "text") return back.text;
      }
      return "";
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
