import { Node } from "../sdk/mod.ts";
import type { Contender } from "./contender.ts";
import { startDaemonProgram, startHelper } from "./programs.ts";

/** How the two daemons run. */
export interface AgentAnycastOptions {
  command: readonly string[];
  /** False: they speak the framing of the existing network, as with `enable_fast_lane = false`. */
  fastLane: boolean;
}

/** Tasks from this process through two daemons to an echo agent: four processes, three hops each way. */
export async function startAgentAnycast({ command, fastLane }: AgentAnycastOptions): Promise<Contender> {
  await using stack = new AsyncDisposableStack();
  const env = { AGENTANYCAST_ENABLE_FAST_LANE: String(fastLane) };
  const near = stack.use(await startDaemonProgram(command, { env }));
  const far = stack.use(await startDaemonProgram(command, { env }));
  const agent = stack.use(await startHelper("echo_agent.ts", [far.grpcAddress]));
  const peerId = agent.ready;
  const node = stack.use(new Node({ daemonAddr: near.grpcAddress }));
  await node.start();
  await node.connectPeer(far.address);
  const owned = stack.move();
  return {
    pids: [near.pid, far.pid, agent.pid],
    async roundTrip(text) {
      const handle = await node.sendTask(text, { peerId });
      const { artifacts } = await handle.wait();
      return artifacts[0]?.parts[0]?.text ?? "";
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
