import { circuitRelayServer } from "@libp2p/circuit-relay-v2";
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import { identify } from "@libp2p/identify";
import { noise } from "@libp2p/noise";
import { ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { createLibp2p } from "libp2p";
import { silentLogger } from "../../core/log.ts";
import { silenceLockChannel } from "../../p2p/broadcast_channel.ts";
import { createLibp2pLogger } from "../../p2p/libp2p_logger.ts";
import { randomSeed } from "./test_host.ts";

/** A relay of libp2p's own making, which knows nothing of this program. */
export interface TestRelay extends AsyncDisposable {
  readonly peerId: string;
  /** Its loopback address with its id. */
  readonly address: string;
  readonly port: number;
  /** Peers that have a place. */
  reserved(): string[];
}

/** What a relay lets through. */
export interface TestRelayOptions {
  seed?: Uint8Array;
  port?: number;
  /** Bytes per circuit. Default without limit. */
  maxBytes?: bigint;
  maxReservations?: number;
}

/** Starts a relay on loopback. */
export async function startTestRelay(options: TestRelayOptions = {}): Promise<TestRelay> {
  silenceLockChannel();
  const { seed = randomSeed(), port = 0, maxBytes, maxReservations = 100 } = options;
  const libp2p = await createLibp2p({
    privateKey: await generateKeyPairFromSeed("Ed25519", seed),
    addresses: { listen: [`/ip4/127.0.0.1/tcp/${port}`] },
    logger: createLibp2pLogger(silentLogger),
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionManager: { inboundConnectionThreshold: 1000 },
    services: {
      identify: identify(),
      ping: ping(),
      relay: circuitRelayServer({
        reservations: {
          maxReservations,
          applyDefaultLimit: maxBytes !== undefined,
          ...(maxBytes === undefined ? {} : { defaultDataLimit: maxBytes }),
        },
      }),
    },
  });
  const address = String(libp2p.getMultiaddrs()[0]);
  return {
    peerId: libp2p.peerId.toString(),
    address,
    port: Number(/tcp\/(\d+)/.exec(address)?.[1]),
    reserved: () => [...libp2p.services.relay.reservations.keys()].map(String),
    async [Symbol.asyncDispose]() {
      await libp2p.stop();
    },
  };
}
