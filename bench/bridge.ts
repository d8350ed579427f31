import { ClientFactory } from "@a2a-js/sdk/client";
import { Node } from "../sdk/mod.ts";
import type { Contender } from "./contender.ts";
import { sendText } from "./http_a2a.ts";
import { type DaemonProgram, startDaemonProgram, startHelper } from "./programs.ts";

/** Where the agent of a bridge is: at its own daemon, or at another one that it is connected to. */
export type BridgeAgentPlace = "local" | "remote";

/** A daemon in a process of its own that serves the bridge. */
export interface BridgeProgram extends AsyncDisposable {
  /** Where its agent answers over HTTP. */
  readonly url: string;
  readonly daemon: DaemonProgram;
  readonly pids: readonly number[];
}

/** Starts a bridge with an echo agent. */
export async function startBridgeProgram(
  command: readonly string[],
  place: BridgeAgentPlace,
): Promise<BridgeProgram> {
  await using stack = new AsyncDisposableStack();
  const listen = `127.0.0.1:${freePort()}`;
  const near = stack.use(await startDaemonProgram(command, { env: { AGENTANYCAST_BRIDGE_LISTEN: listen } }));
  const far = place === "local" ? near : stack.use(await startDaemonProgram(command));
  const agent = stack.use(await startHelper("echo_agent.ts", [far.grpcAddress]));
  if (far !== near) {
    await using node = new Node({ daemonAddr: near.grpcAddress });
    await node.start();
    await node.connectPeer(far.address);
  }
  const owned = stack.move();
  return {
    url: `http://${listen}${place === "local" ? "" : `/agents/${agent.ready}`}`,
    daemon: near,
    pids: [...new Set([near.pid, far.pid, agent.pid])],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The official client through a bridge: every task is on disk before it is answered. */
export async function startBridge(command: readonly string[], place: BridgeAgentPlace): Promise<Contender> {
  await using stack = new AsyncDisposableStack();
  const bridge = stack.use(await startBridgeProgram(command, place));
  const client = await new ClientFactory().createFromUrl(bridge.url + "/", ".well-known/agent-card.json");
  const owned = stack.move();
  return {
    pids: bridge.pids,
    roundTrip: (text) => sendText(client, text),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
