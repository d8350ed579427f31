import { Node } from "../sdk/mod.ts";
import type { Contender } from "./contender.ts";
import { startDaemonProgram, startHelper } from "./programs.ts";

/** Tasks from this process through two daemons to an echo agent: four processes, three hops each way. */
export async function startAgentAnycast(command: readonly string[]): Promise<Contender> {
  await using stack = new AsyncDisposableStack();
  const near = stack.use(await startDaemonProgram(command));
  const far = stack.use(await startDaemonProgram(command));
  const { ready: peerId } = stack.use(await startHelper("echo_agent.ts", [far.grpcAddress]));
  const node = stack.use(new Node({ daemonAddr: near.grpcAddress }));
  await node.start();
  await node.connectPeer(far.address);
  const owned = stack.move();
  return {
    name: "AgentAnycast",
    async roundTrip(text) {
      const handle = await node.sendTask(text, { peerId });
      const { artifacts } = await handle.wait();
      return artifacts[0]?.parts[0]?.text ?? "";
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
