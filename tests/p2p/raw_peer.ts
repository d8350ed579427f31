import { type Stream, StreamResetError } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import { silentLogger } from "../../core/log.ts";
import { createLibp2pLogger } from "../../p2p/libp2p_logger.ts";
import { createLibp2pNode, type Libp2pNode } from "../../p2p/libp2p_node.ts";
import { resolveLimits } from "../../p2p/limits.ts";
import { PING_PROTOCOL, pingOver } from "../../p2p/ping.ts";
import { randomSeed, type TestHost } from "./test_host.ts";

/** A libp2p peer without our protocols, for sending what a well-behaved one would not. */
export interface RawPeer extends AsyncDisposable {
  libp2p: Libp2pNode["libp2p"];
  peerId: string;
  /** Connects if need be and opens a stream. */
  open(host: TestHost, protocol: string): Promise<Stream>;
  /** Waits until everything sent so far on the connection has been looked at by the host. */
  barrier(host: TestHost): Promise<void>;
}

/** Starts a raw peer; `listen` gives it a loopback port. */
export async function startRawPeer({ listen = false } = {}): Promise<RawPeer> {
  const node = await createLibp2pNode({
    seed: randomSeed(),
    agentVersion: "raw/0",
    limits: resolveLimits({ outboundStreamsPerPeer: 1000 }),
    logger: createLibp2pLogger(silentLogger),
  });
  const { libp2p } = node;
  await libp2p.start();
  if (listen) await node.listen("/ip4/127.0.0.1/tcp/0");
  return {
    libp2p,
    peerId: libp2p.peerId.toString(),
    open: async (host, protocol) => {
      const connection = await libp2p.dial(multiaddr(host.address));
      return await connection.newStream(protocol, { maxOutboundStreams: 1000 });
    },
    barrier: async (host) => {
      const connection = await libp2p.dial(multiaddr(host.address));
      for (let i = 0; i < 5; i++) {
        await pingOver(await connection.newStream(PING_PROTOCOL), { timeoutMs: 10_000 });
      }
    },
    [Symbol.asyncDispose]: () => node.stop(),
  };
}

/** Resolves with all that the peer sent until it closed its end; rejects when it reset the stream. */
export async function readAll(stream: Stream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const data of stream) chunks.push(data.subarray());
  if (stream.status === "reset") throw new StreamResetError();
  const all = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    all.set(chunk, offset);
    offset += chunk.length;
  }
  return all;
}
