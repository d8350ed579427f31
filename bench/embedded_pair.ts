import { join } from "node:path";
import { Node } from "../sdk/mod.ts";
import type { Contender } from "./contender.ts";
import { makeHome, startHelper } from "./programs.ts";

const CONFIG = 'listen_addrs = ["/ip4/127.0.0.1/tcp/0"]\nenable_mdns = false\nlog_level = "error"\n';

/** Tasks from an embedded node in this process to one in another: two processes, one hop each way, everything on disk. */
export async function startEmbeddedPair(): Promise<Contender> {
  await using stack = new AsyncDisposableStack();
  const [near, far] = [stack.use(await makeHome()).path, stack.use(await makeHome()).path];
  for (const home of [near, far]) await Deno.writeTextFile(join(home, "config.toml"), CONFIG);
  const agent = stack.use(await startHelper("embedded_echo.ts", [far]));
  const node = stack.use(new Node({ mode: "embedded", home: near }));
  await node.start();
  const { peerId } = await node.connectPeer(agent.ready);
  const owned = stack.move();
  return {
    pids: [agent.pid],
    async roundTrip(text) {
      const handle = await node.sendTask(text, { peerId });
      const { artifacts } = await handle.wait();
      return artifacts[0]?.parts[0]?.text ?? "";
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
