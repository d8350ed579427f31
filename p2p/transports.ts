import { circuitRelayTransport } from "@libp2p/circuit-relay-v2";
import type { CreateListenerOptions, Listener, PeerId, Transport } from "@libp2p/interface";
import { tcp } from "@libp2p/tcp";
import { webSockets } from "@libp2p/websockets";
import type { Multiaddr } from "@multiformats/multiaddr";
import type { Socket } from "node:net";
import { isRelayed, kindOf } from "./address_kind.ts";
import { dialCircuit } from "./circuit_dial.ts";
import { connectThrough, type Proxy } from "./proxy.ts";
import { quic } from "./quic/quic_transport.ts";
import type { webRtcDirect } from "./webrtc/webrtc_transport.ts";
import { dialWebSocket } from "./websocket_dial.ts";
import { boundWebSocketListener, type WebSocketListener } from "./websocket_listener.ts";
import { webTransport } from "./webtransport/webtransport_transport.ts";

/** What decides on the transports. */
export interface TransportOptions {
  /** 32-byte Ed25519 seed of the node. */
  seed: Uint8Array;
  /** Whether QUIC is spoken; never with a proxy. Default true. */
  quic?: boolean;
  /** Whether libp2p's WebTransport is spoken; never with a proxy. Default false. */
  webTransport?: boolean;
  /** libp2p's WebRTC-direct, when it is spoken; never with a proxy. It is loaded only when it is wanted. */
  webRtcDirect?: typeof webRtcDirect | undefined;
  /** Through which peers are dialed over TCP and WebSocket; nothing is dialed beside it then. Default none. */
  proxy?: Proxy | undefined;
}

/** The part of libp2p's book of reservations that we use; it renews a reservation in time while its connection lasts. */
export interface ReservationStore {
  addRelay(relay: PeerId, type: "configured"): Promise<unknown>;
  hasReservation(relay: PeerId): boolean;
  /** `expire` is in seconds since the epoch. */
  getReservation(relay: PeerId): { expire: bigint; addrs: Uint8Array[] } | undefined;
}

type TransportFactory = (components: Components) => Transport;
type Components =
  & Parameters<ReturnType<typeof tcp>>[0]
  & Parameters<ReturnType<typeof quic>>[0]
  & Parameters<ReturnType<typeof webSockets>>[0]
  & CircuitRelayComponents;

/** The transports of a node. `onReservations` is given the book of its relays when libp2p makes it. */
export function createTransports(
  options: TransportOptions,
  onReservations: (store: ReservationStore) => void,
): TransportFactory[] {
  const { seed, quic: speaksQuic = true, webTransport: speaksWebTransport = false, proxy } = options;
  return [
    (components) => {
      const transport = tcp()(components);
      if (proxy !== undefined) dialThrough(proxy, transport as unknown as TcpTransport);
      return transport;
    },
    webSocketTransport(proxy),
    ...proxy === undefined && speaksQuic ? [quic(seed)] : [],
    ...proxy === undefined && speaksWebTransport ? [webTransport(seed)] : [],
    ...proxy === undefined && options.webRtcDirect ? [options.webRtcDirect(seed)] : [],
    (components) => {
      const transport = circuitRelayTransport()(components);
      onReservations(adapt(transport as unknown as CircuitRelayTransport, components));
      return transport;
    },
  ];
}

/** The part of libp2p's TCP transport that opens a socket. */
interface TcpTransport {
  _connect(address: Multiaddr, options: { signal: AbortSignal }): Promise<Socket>;
}

function dialThrough(proxy: Proxy, transport: TcpTransport): void {
  transport._connect = (address, { signal }) => {
    const { host, port } = kindOf(address) ?? { host: "", port: 0 };
    return connectThrough(proxy, { host, port, signal });
  };
}

/** The part of libp2p's WebSocket transport that opens sockets. */
interface WebSocketTransport {
  _connect(address: Multiaddr, options: { signal: AbortSignal }): Promise<WebSocket>;
  createListener(options: CreateListenerOptions): Listener;
}

function webSocketTransport(proxy: Proxy | undefined) {
  return (components: Parameters<ReturnType<typeof webSockets>>[0]) => {
    const transport = webSockets()(components);
    const inner = transport as unknown as WebSocketTransport;
    inner._connect = async (address, { signal }) =>
      await dialWebSocket(address, { signal, proxy }) as unknown as WebSocket;
    const { createListener } = inner;
    inner.createListener = (options) => {
      const listener = createListener.call(transport, options);
      boundWebSocketListener(listener as unknown as WebSocketListener);
      return listener;
    };
    return transport;
  };
}

type CircuitRelayComponents = Parameters<ReturnType<typeof circuitRelayTransport>>[0];
interface CircuitRelayTransport {
  dial: Transport["dial"];
  dialFilter(addresses: Multiaddr[]): Multiaddr[];
  readonly reservationStore: ReservationStore & { relayFilter: { has(): boolean; add(): void } };
}

/** Makes libp2p's relay transport fit for relays that come and go, and that are reached over our own QUIC. */
function adapt(transport: CircuitRelayTransport, components: CircuitRelayComponents): ReservationStore {
  transport.dial = (address, options) => dialCircuit(components, address, options);
  transport.dialFilter = (addresses) =>
    addresses.filter((address) => isRelayed(address) && kindOf(address) !== undefined);
  const { reservationStore } = transport;
  // It would never ask a relay again that it could not reach once.
  reservationStore.relayFilter = { has: () => false, add: () => {} };
  return reservationStore;
}
