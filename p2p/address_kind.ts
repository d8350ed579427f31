import {
  CODE_CERTHASH,
  CODE_DNS,
  CODE_DNS4,
  CODE_DNS6,
  CODE_IP4,
  CODE_IP6,
  CODE_NOISE,
  CODE_P2P,
  CODE_P2P_CIRCUIT,
  CODE_QUIC_V1,
  CODE_SNI,
  CODE_TCP,
  CODE_TLS,
  CODE_UDP,
  CODE_WEBRTC_DIRECT,
  CODE_WEBTRANSPORT,
  CODE_WS,
  CODE_WSS,
  type Multiaddr,
  multiaddr,
} from "@multiformats/multiaddr";

/** How the bytes of an address travel on their first hop. */
export type TransportName = "tcp" | "ws" | "quic" | "webtransport" | "webrtc-direct";

/** What an address says about the way to its peer. */
export interface AddressKind {
  /** On the first hop: to the peer, or to its relay. */
  transport: TransportName;
  /** Host of that hop: an IP address or a name. */
  host: string;
  port: number;
  /** The relay that carries the bytes; undefined when the address is direct. */
  relayId: string | undefined;
}

type Component = ReturnType<Multiaddr["getComponents"]>[number];

const HOST_CODES: readonly number[] = [CODE_IP4, CODE_IP6, CODE_DNS, CODE_DNS4, CODE_DNS6];
/** Hosts that stand for no machine, or for whichever one asks. */
const UNSPECIFIED = /^(0\.0\.0\.0|::)$/;
const LOOPBACK = /^(127\.|::1$)/;
/** Forms of the part behind the host, by the codes of their components. */
const FORMS: readonly (readonly [TransportName, readonly number[]])[] = [
  ["tcp", [CODE_TCP]],
  ["ws", [CODE_TCP, CODE_WS]],
  ["ws", [CODE_TCP, CODE_WSS]],
  ["ws", [CODE_TCP, CODE_TLS, CODE_WS]],
  ["ws", [CODE_TCP, CODE_TLS, CODE_SNI, CODE_WS]],
  ["quic", [CODE_UDP, CODE_QUIC_V1, CODE_NOISE]],
  ["webtransport", [CODE_UDP, CODE_QUIC_V1, CODE_WEBTRANSPORT]],
  ["webrtc-direct", [CODE_UDP, CODE_WEBRTC_DIRECT]],
];

/** What `address` says about the way to its peer; undefined when this program has no transport for it. */
export function kindOf(address: Multiaddr): AddressKind | undefined {
  const components = address.getComponents();
  const circuit = components.findIndex(({ code }) => code === CODE_P2P_CIRCUIT);
  const hop = circuit === -1 ? components : components.slice(0, circuit);
  const id = hop.at(-1)?.code === CODE_P2P ? hop.at(-1)?.value : undefined;
  const [host, ...rest] = id === undefined ? hop : hop.slice(0, -1);
  if (host?.value === undefined || !HOST_CODES.includes(host.code)) return undefined;
  const transport = transportOf(rest);
  if (transport === undefined) return undefined;
  const direct = { transport, host: host.value, port: Number(rest[0]?.value) };
  if (circuit === -1) return { ...direct, relayId: undefined };
  const target = components.slice(circuit + 1);
  const wellFormed = target.length === 0 || (target.length === 1 && target[0]?.code === CODE_P2P);
  return id === undefined || !wellFormed ? undefined : { ...direct, relayId: id };
}

/** The transports of those of `addresses` that are direct, each once, as agent cards name them. */
export function transportsOf(addresses: readonly string[]): string[] {
  const kinds = addresses.flatMap((address) => kindOf(multiaddr(address)) ?? [])
    .filter(({ relayId }) => relayId === undefined)
    // `quic-v1` alone is libp2p's standard QUIC.
    .map(({ transport }) => transport === "quic" ? "quic-v1/noise" : transport);
  return [...new Set(kinds)];
}

/** Whether the bytes of a connection to `address` pass through a relay. libp2p knows it only for transports of its own. */
export function isRelayed(address: Multiaddr): boolean {
  return address.getComponents().some(({ code }) => code === CODE_P2P_CIRCUIT);
}

/** Whether the host of `address` is this machine's own loopback. */
export function isLoopbackHost(host: string): boolean {
  return LOOPBACK.test(host);
}

/**
 * Whether this node can dial `address`, which a peer told over a connection from `from`. Loopback counts only when the peer
 * came over loopback; an address through this node itself never does.
 */
export function isDialable(address: Multiaddr, { from }: { from: Multiaddr }): boolean {
  const kind = kindOf(address);
  if (kind === undefined || kind.port === 0 || UNSPECIFIED.test(kind.host)) return false;
  return !isLoopbackHost(kind.host) || isLoopbackHost(from.getComponents()[0]?.value ?? "");
}

/** `address` through a relay: `relay` is the relay's address ending in its `/p2p/<id>`. */
export function throughRelay(relay: Multiaddr, peerId: string): Multiaddr {
  return relay.encapsulate(multiaddr(`/p2p-circuit/p2p/${peerId}`));
}

function transportOf(components: readonly Component[]): TransportName | undefined {
  // A certificate hash says nothing about the form.
  const codes = components.map(({ code }) => code).filter((code) => code !== CODE_CERTHASH);
  return FORMS.find(([, form]) => form.length === codes.length && form.every((code, i) => code === codes[i]))
    ?.[0];
}
