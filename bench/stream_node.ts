// deno-lint-ignore-file agentanycast/boundaries -- what is measured here is what lies behind the daemon's front door
import { systemClock } from "../core/clock.ts";
import { join } from "node:path";
import { type ArtifactStreams, Engine } from "../a2a/mod.ts";
import { silentLogger as logger } from "../core/log.ts";
import { openArtifactStreams } from "../daemon/artifacts/open_artifact_streams.ts";
import { silentMeter } from "../core/meter.ts";
import { openIdentity } from "../identity/mod.ts";
import { openDenoKvStore } from "../kv/mod.ts";
import { openP2pHost, OWN_SERVICE_TAG, type P2pHost } from "../p2p/mod.ts";
import { CardBook, encodeEnvelope, KvTaskStore, PeerWire } from "./daemon_parts.ts";

const NO_MDNS = { enabled: false, serviceTag: OWN_SERVICE_TAG, interfaces: [] };

/** An engine on the network that streams artifacts, with a store and a spool on disk. */
export interface StreamNode extends AsyncDisposable {
  readonly engine: Engine;
  readonly host: P2pHost;
  readonly streams: ArtifactStreams;
}

/** Opens a daemon without its doors in the folder `home`, on the loopback interface, as `startDaemon` does. */
export async function openStreamNode(home: string): Promise<StreamNode> {
  await using stack = new AsyncDisposableStack();
  const kv = stack.use(await openDenoKvStore({ directory: join(home, "data") }));
  const identity = await openIdentity(join(home, "key"));
  const cards = await CardBook.open({ kv, identity, logger });
  const store = new KvTaskStore({ kv, logger });
  const artifacts = await openArtifactStreams({
    meter: silentMeter,
    spool: join(home, "artifacts"),
    clock: systemClock,
    store,
    host: () => host,
    engine: () => engine,
    logger,
  });
  const wire = new PeerWire({ cards, artifacts, logger });
  const host = stack.use(
    await openP2pHost({ seed: identity.seed, handlers: wire.handlers, logger }, {
      listen: ["/ip4/127.0.0.1/tcp/0"],
      mdns: NO_MDNS,
      agentVersion: "bench",
      channelProtocols: wire.channelProtocols,
    }),
  );
  stack.use(wire);
  stack.use(artifacts);
  const { streams, streamed } = artifacts;
  const transport = wire.openTransport(host);
  const engine = stack.use(new Engine({ store, streamed, transport, encode: encodeEnvelope, logger }));
  await engine.start();
  wire.serve(host, engine);
  const owned = stack.move();
  return { engine, host, streams, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
