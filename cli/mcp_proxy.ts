import type { Logger } from "../core/log.ts";
import { runMcpProxy, type ServerAddress, toServerAddress } from "../mcp/mod.ts";
import type { AgentCard, Node } from "../sdk/mod.ts";
import { type Output, visible } from "./output.ts";

/** Runs the proxy of an MCP server until `signal` fires, telling on stdout who it is and what it offers. */
export async function proxyMcpServer(
  deps: { address: ServerAddress; node: Node; logger: Logger; output: Output },
  options: { signal: AbortSignal },
): Promise<void> {
  const { node, output } = deps;
  const { listenAddresses } = await node.info();
  let isFirst = true;
  const onCard = (card: AgentCard) => {
    if (isFirst) {
      output.print(`PEER_ID=${node.peerId}`);
      for (const address of listenAddresses) output.print(`LISTEN_ADDR=${address}`);
    }
    isFirst = false;
    announceSkills(card, output);
  };
  await runMcpProxy({ ...deps, onCard }, options);
}

/**
 * Makes an MCP server the agent of the daemon at `daemonAddr`; comes back when the daemon shows its card. Disposing it ends the
 * server. Throws what keeps the server from its first start.
 */
export async function startMcpProxy(
  { words, daemonAddr, logger, output }: {
    words: readonly string[];
    daemonAddr: string;
    logger: Logger;
    output: Output;
  },
): Promise<AsyncDisposable> {
  const { Node } = await import("../sdk/mod.ts");
  await using stack = new AsyncDisposableStack();
  const node = stack.use(new Node({ daemonAddr }));
  await node.start();
  const stop = new AbortController();
  const isUp = Promise.withResolvers<void>();
  const onCard = (card: AgentCard) => {
    announceSkills(card, output);
    isUp.resolve();
  };
  const running = runMcpProxy({ address: toServerAddress(words), node, logger, onCard }, {
    signal: stop.signal,
  });
  stack.defer(async () => {
    stop.abort();
    await running.catch(() => {}); // told by the throw below
  });
  await Promise.race([isUp.promise, running]);
  const owned = stack.move();
  return { [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function announceSkills({ name, skills }: AgentCard, output: Output): void {
  output.print(`AGENT=${visible(name)}`);
  for (const { id } of skills) output.print(`SKILL=${visible(id)}`);
}
