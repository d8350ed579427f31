import { type KadDHT, kadDHT, type KadDHTComponents } from "@libp2p/kad-dht";
import { type PeerId, type PeerInfo, serviceCapabilities } from "@libp2p/interface";
import { EXISTING_NETWORK_DHT_PROTOCOL, OWN_DHT_PROTOCOL } from "./constants.ts";
import { type Dht, toDht } from "./dht.ts";
import { DhtDatastore } from "./dht_datastore.ts";
import { PING_PROTOCOL, pingOver } from "./ping.ts";

/** How a node takes part in the DHT. */
export interface DhtOptions {
  /** `server` keeps things for others, `client` only asks; `auto` is a client while this node listens nowhere. */
  mode: "auto" | "server" | "client";
  /** Default {@link OWN_DHT_PROTOCOL}. */
  protocol?: string;
  /** First part of the keys of records, without slashes. */
  namespace: string;
  /** Throws when `value` is no record for `key`. */
  validate(key: string, value: Uint8Array): void;
  /** The index of the best of several records for `key`, each of which is one. */
  select(key: string, values: readonly Uint8Array[]): number;
}

const PING_TIMEOUT_MS = 5_000;
const MAX_INBOUND_STREAMS = 32;
const TEXT = new TextDecoder();

type PingComponents = Pick<KadDHTComponents, "connectionManager">;

/** Services of libp2p that make a node part of the DHT. */
export function createDhtServices(options: DhtOptions & { mode: "server" | "client" }) {
  const captured: { dht?: Dht } = {};
  return {
    services: {
      // The table asks old peers for a sign of life before it takes new ones instead.
      ping: (components: PingComponents) => ({
        [serviceCapabilities]: ["@libp2p/ping"],
        ping: (peer: PeerId, { signal }: { signal?: AbortSignal } = {}) => ping(components, peer, signal),
      }),
      dht: (components: KadDHTComponents) => {
        const kad = kadDHT(toInit(options, components))(withOwnDatastore(components));
        captured.dht = toDht(kad as KadDHT & { routingTable: { readonly size: number } });
        return kad;
      },
    },
    dht(): Dht {
      if (captured.dht === undefined) throw new TypeError("libp2p did not create the DHT");
      return captured.dht;
    },
  };
}

function toInit(options: DhtOptions, { addressManager }: KadDHTComponents): Parameters<typeof kadDHT>[0] {
  const { mode, protocol = OWN_DHT_PROTOCOL, namespace, validate, select } = options;
  const isOnlyLocal = () => addressManager.getAddresses().every((address) => isLoopback(address.toString()));
  return {
    protocol,
    clientMode: mode === "client",
    allowQueryWithZeroPeers: true,
    maxInboundStreams: MAX_INBOUND_STREAMS,
    validators: {
      [namespace]: (key, value) => validate(TEXT.decode(key), value),
    },
    selectors: {
      [namespace]: (key, values) => select(TEXT.decode(key), values),
    },
    peerInfoMapper: protocol === EXISTING_NETWORK_DHT_PROTOCOL
      ? (peer) => keep(peer, (address) => !isPrivate(address))
      // Addresses of other machines' loopback lead to ourselves; with no other ones, all are on this machine.
      : (peer) => keep(peer, (address) => isOnlyLocal() || !isLoopback(address)),
  };
}

function keep(peer: PeerInfo, isGood: (address: string) => boolean): PeerInfo {
  return { ...peer, multiaddrs: peer.multiaddrs.filter((address) => isGood(address.toString())) };
}

function isLoopback(address: string): boolean {
  return /^\/(ip4\/127\.|ip6\/::1\/)/.test(address);
}

function isPrivate(address: string): boolean {
  return /^\/(ip4\/(10\.|127\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|0\.)|ip6\/(::1\/|f[cd]|fe80))/
    .test(address);
}

async function ping(
  { connectionManager }: PingComponents,
  peer: PeerId,
  signal?: AbortSignal,
): Promise<number> {
  const options = signal === undefined ? {} : { signal };
  const connection = await connectionManager.openConnection(peer, options);
  const stream = await connection.newStream(PING_PROTOCOL, { ...options, runOnLimitedConnection: true });
  return await pingOver(stream, { timeoutMs: PING_TIMEOUT_MS, ...options });
}

/** What others have us keep goes into a store of its own, which has bounds. */
function withOwnDatastore(components: KadDHTComponents): KadDHTComponents {
  const datastore = new DhtDatastore();
  return new Proxy(components, {
    get: (target, name) => name === "datastore" ? datastore : Reflect.get(target, name),
  });
}
