import { Node } from "../sdk/mod.ts";
import type { Contender } from "./contender.ts";
import { makeHome, startDaemonProgram, startHelper } from "./programs.ts";

/** How the two daemons run. */
export interface AgentAnycastOptions {
  command: readonly string[];
  /** False: they speak the framing of the existing network, as with `enable_fast_lane = false`. */
  fastLane?: boolean;
  /** Their configuration file; `HOME` in it is a folder of this run. Default: none. */
  toml?: string;
  /** Whether they send traces, to a collector that throws them away. */
  traced?: boolean;
}

/** Tasks from this process through two daemons to an echo agent: four processes, three hops each way. */
export async function startAgentAnycast(
  { command, fastLane = true, toml = "", traced = false }: AgentAnycastOptions,
): Promise<Contender> {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await makeHome());
  await Deno.writeTextFile(`${path}/config.toml`, toml.replaceAll("HOME", path));
  const env = {
    AGENTANYCAST_ENABLE_FAST_LANE: String(fastLane),
    AGENTANYCAST_CONFIG: `${path}/config.toml`,
    ...traced && { AGENTANYCAST_OTLP_ENDPOINT: stack.use(startCollector()).url },
  };
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

/** Takes traces over OTLP/HTTP and forgets them. */
function startCollector(): AsyncDisposable & { readonly url: string } {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    await request.body?.cancel();
    return new Response("{}", { headers: { "content-type": "application/json" } });
  });
  return { url: `http://127.0.0.1:${server.addr.port}`, [Symbol.asyncDispose]: () => server.shutdown() };
}
