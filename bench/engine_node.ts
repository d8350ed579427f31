/**
 * A daemon without its doors: engine, store and network, driven in the process. As a program it completes each task with the
 * text that came; its arguments are its home and `true` for the fast lane or `false` for the framing of the existing network.
 */
import { Engine, type Task } from "../a2a/mod.ts";
import { silentLogger as logger } from "../core/log.ts";
import { openIdentity } from "../identity/mod.ts";
import { openDenoKvStore } from "../kv/mod.ts";
import { openP2pHost, OWN_SERVICE_TAG, type P2pHost } from "../p2p/mod.ts";
import { CardBook, encodeEnvelope, KvTaskStore, PeerWire } from "./daemon_parts.ts";

const NO_MDNS = { enabled: false, serviceTag: OWN_SERVICE_TAG, interfaces: [] };

/** An engine on the network, with a store on disk. */
export interface EngineNode extends AsyncDisposable {
  readonly engine: Engine;
  readonly host: P2pHost;
}

/** Opens an engine in the folder `home`, on the loopback interface. */
export async function openEngineNode(home: string, options: { fastLane: boolean }): Promise<EngineNode> {
  await using stack = new AsyncDisposableStack();
  const kv = stack.use(await openDenoKvStore({ directory: `${home}/data` }));
  const identity = await openIdentity(`${home}/key`);
  const cards = await CardBook.open({ kv, identity, logger });
  const wire = new PeerWire({ cards, logger }, options);
  const host = stack.use(
    await openP2pHost(
      { seed: identity.seed, handlers: wire.handlers, logger },
      {
        listen: ["/ip4/127.0.0.1/tcp/0"],
        mdns: NO_MDNS,
        agentVersion: "bench",
        channelProtocols: wire.channelProtocols,
      },
    ),
  );
  stack.use(wire);
  const store = new KvTaskStore({ kv, logger });
  const transport = wire.openTransport(host);
  const engine = stack.use(new Engine({ store, transport, encode: encodeEnvelope, logger }));
  await engine.start();
  wire.serve(host, engine);
  const owned = stack.move();
  return { engine, host, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function echo(engine: Engine, task: Task): Promise<void> {
  const parts = task.messages[0]?.parts ?? [];
  await engine.completeTask(task.taskId, { artifacts: [{ artifactId: "echo", name: "", parts }] });
}

if (import.meta.main) {
  await using node = await openEngineNode(Deno.args[0] ?? "", { fastLane: Deno.args[1] === "true" });
  console.log(`READY=${node.host.addresses()[0]}`);
  for await (const { task } of node.engine.subscribeIncoming()) {
    echo(node.engine, task).catch((error) => console.error("A task was not completed:", error));
  }
}
