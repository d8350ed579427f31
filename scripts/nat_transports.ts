import type { NatKind } from "../tests/nat/lab.ts";

/** What the nodes of a run of the laboratory may use between each other, besides circuits of their relays. */
export const TRANSPORT_SETS = ["tcp", "quic", "ws", "webtransport", "webrtc-direct", "all"] as const;

/** One of {@link TRANSPORT_SETS}. */
export type TransportSet = (typeof TRANSPORT_SETS)[number];

interface Setup {
  /** How a node listens. */
  readonly listen: readonly string[];
  readonly flags: readonly string[];
  /** Which of a relay's addresses nodes are told. */
  readonly relay: RegExp;
}

const TCP = "/ip4/0.0.0.0/tcp/0";
const QUIC = "/ip4/0.0.0.0/udp/0/quic-v1/noise";
const WS = "/ip4/0.0.0.0/tcp/0/ws";
const WEBRTC = "/ip4/0.0.0.0/udp/0/webrtc-direct";
const WEBTRANSPORT = "/ip4/0.0.0.0/udp/0/quic-v1/webtransport";
/** Ports of a relay stay the same when it is started again. */
const RELAY_LISTEN = [
  "/ip4/0.0.0.0/tcp/4001",
  "/ip4/0.0.0.0/udp/4001/quic-v1/noise",
  "/ip4/0.0.0.0/tcp/4002/ws",
];
const OVER_TCP = /\/tcp\/\d+\/p2p\//;

const SETUPS: Readonly<Record<TransportSet, Setup>> = {
  tcp: { listen: [TCP], flags: ["--enable-quic=false"], relay: OVER_TCP },
  quic: { listen: [QUIC], flags: [], relay: /\/quic-v1\/noise\// },
  ws: { listen: [WS], flags: ["--enable-quic=false"], relay: /\/ws\/p2p\// },
  // The relay is not asked to speak these two: the way to it is TCP, which no daemon listens on.
  webtransport: {
    listen: [WEBTRANSPORT],
    flags: ["--enable-quic=false", "--enable-webtransport"],
    relay: OVER_TCP,
  },
  "webrtc-direct": {
    listen: [WEBRTC],
    flags: ["--enable-quic=false", "--enable-webrtc-direct"],
    relay: OVER_TCP,
  },
  all: {
    listen: [TCP, QUIC, WS, WEBTRANSPORT, WEBRTC],
    flags: ["--enable-webtransport", "--enable-webrtc-direct"],
    relay: OVER_TCP,
  },
};

/** Arguments of a relay that serves every set. */
export function relayArguments(): string[] {
  return RELAY_LISTEN.flatMap((address) => ["--listen", address]);
}

/** Of a relay's addresses, the one that a node with `set` behind a NAT of `kind` is told; without a set, that over TCP. */
export function relayAddressFor(
  { set = "all", kind }: { set: TransportSet | undefined; kind: NatKind },
  addresses: readonly string[],
): string {
  // There QUIC would leave it without any relay.
  const form = kind === "udp-blocked" && set === "quic" ? OVER_TCP : SETUPS[set].relay;
  const found = addresses.find((address) => form.test(address));
  if (found === undefined) throw new Error(`the relay has no address for ${set}: ${addresses.join(", ")}`);
  return found;
}

/** Arguments of a daemon that uses `set` alone; the program's defaults without one. */
export function daemonArguments(set: TransportSet | undefined): string[] {
  if (set === undefined) return [];
  const { listen, flags } = SETUPS[set];
  return [...listen.flatMap((address) => ["--listen", address]), ...flags];
}
