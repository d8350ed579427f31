import {
  type Connection,
  type DialTransportOptions,
  type Listener,
  type ListenerEvents,
  type Logger,
  type PeerId,
  type Transport,
  transportSymbol,
  TypedEventEmitter,
  type Upgrader,
} from "@libp2p/interface";
import { getThinWaistAddresses } from "@libp2p/utils";
import { CODE_P2P_CIRCUIT, type Multiaddr } from "@multiformats/multiaddr";
import { CodedError, errorMessage } from "../../core/errors.ts";
import { kindOf } from "../address_kind.ts";
import { concat } from "../concat.ts";
import {
  ACCEPT_TIMEOUT_MS,
  NOISE_STREAM,
  type NoiseProof,
  proveByNoise,
  PROVEN,
  type ProvingComponents,
} from "../noise_proof.ts";
import { createCertificate, createTrustAnchor, SERVER_NAME } from "./certificate.ts";
import { abandonable, familyOf, peerOf } from "./dialing.ts";
import {
  createQuicMuxerFactory,
  firstStreamOf,
  QuicMultiaddrConnection,
  remoteAddressOf,
  upgradeOrClose,
} from "./quic_connection.ts";
import { QuicStream } from "./quic_stream.ts";

/** TLS application protocol: peers that speak another kind of QUIC are refused in the handshake. */
const ALPN = "agentanycast/1";
/** Both sides of Noise begin with it and the listener's key, so that a handshake belongs to the connection it runs in. */
const PROLOGUE = new TextEncoder().encode("agentanycast quic noise 1");
/** Handshakes that may run at once on one socket. */
const PARALLEL_ACCEPTS = 64;
const OPTIONS: Deno.QuicTransportOptions = {
  // Shorter than the 30 s after which NATs forget a UDP flow; a way that broke is left after three of them.
  keepAliveInterval: 2_500,
  maxIdleTimeout: 7_500,
  maxConcurrentBidirectionalStreams: 1_024,
  maxConcurrentUnidirectionalStreams: 0,
};

interface OwnEndpoint {
  readonly endpoint: Deno.QuicEndpoint;
  readonly family: 4 | 6;
  /** Sockets that nobody listens on are closed with the transport. */
  readonly dialOnly: boolean;
}

/**
 * libp2p over Deno's QUIC, under `/udp/<port>/quic-v1/noise`. TLS proves the listener: its certificate is signed with the key
 * of its peer id. Noise XX on the first stream, bound to that key, proves both. The sockets that listen also dial, so what a
 * NAT lets out it lets in again.
 */
export function quic(seed: Uint8Array): (components: ProvingComponents) => QuicTransport {
  return (components) => new QuicTransport(seed, components);
}

/** See {@link quic}. */
export class QuicTransport implements Transport {
  readonly [transportSymbol] = true;
  readonly [Symbol.toStringTag] = "agentanycast/quic";
  readonly #components: ProvingComponents;
  readonly #certificate: ReturnType<typeof createCertificate>;
  readonly #publicKey: Uint8Array;
  readonly #log: Logger;
  readonly #endpoints = new Set<OwnEndpoint>();

  constructor(seed: Uint8Array, components: ProvingComponents) {
    this.#components = components;
    this.#publicKey = rawKeyOf(components.peerId);
    this.#certificate = createCertificate(seed, this.#publicKey);
    this.#log = components.logger.forComponent("agentanycast:quic");
  }

  /** Nothing to do; libp2p stops only what it can start. */
  start(): void {}

  /** Closes the sockets that only dialed; called by libp2p. */
  stop(): void {
    for (const own of this.#endpoints) if (own.dialOnly) this.#close(own);
  }

  dialFilter(addresses: Multiaddr[]): Multiaddr[] {
    return addresses.filter((address) => isQuic(address) && peerOf(address) !== undefined);
  }

  listenFilter(addresses: Multiaddr[]): Multiaddr[] {
    return addresses.filter(isQuic);
  }

  async dial(address: Multiaddr, options: DialTransportOptions): Promise<Connection> {
    const { signal } = options;
    const peerId = peerOf(address);
    const kind = kindOf(address);
    if (kind === undefined || peerId === undefined) throw new TypeError(`${address} is not for QUIC`);
    const key = rawKeyOf(peerId);
    signal.throwIfAborted();
    const connecting = Deno.connectQuic<false>({
      ...OPTIONS,
      hostname: kind.host,
      port: kind.port,
      serverName: SERVER_NAME,
      alpnProtocols: [ALPN],
      caCerts: [createTrustAnchor(key)],
      endpoint: this.#endpointFor(address),
    });
    const quic = await abandonable(connecting, signal);
    return await upgradeOrClose(quic, signal, async () => {
      const first = await quic.createBidirectionalStream();
      await this.#prove(first, "outbound", { listenerKey: key, remotePeer: peerId, signal });
      const connection = this.#toConnection(quic, "outbound", address);
      return await options.upgrader.upgradeOutbound(connection, {
        ...options,
        ...this.#proven(quic, peerId),
      });
    });
  }

  createListener({ upgrader }: { upgrader: Upgrader }): Listener {
    return new QuicListener({
      bind: (address) => this.#bind(address),
      accept: (quic) => this.#accept(quic, upgrader),
      close: (own) => this.#close(own),
      log: this.#log,
    });
  }

  #bind(address: Multiaddr): { own: OwnEndpoint; listener: Deno.QuicListener } {
    const kind = kindOf(address);
    if (kind === undefined) throw new TypeError(`${address} is not for QUIC`);
    const endpoint = new Deno.QuicEndpoint({ hostname: kind.host, port: kind.port });
    const own: OwnEndpoint = { endpoint, family: familyOf(address), dialOnly: false };
    this.#endpoints.add(own);
    return { own, listener: endpoint.listen({ ...OPTIONS, ...this.#certificate, alpnProtocols: [ALPN] }) };
  }

  #close(own: OwnEndpoint): void {
    if (this.#endpoints.delete(own)) own.endpoint.close({ closeCode: 0, reason: "closed" });
  }

  /** The socket to dial from: one that listens if there is one, since only that one is known to peers and NATs. */
  #endpointFor(address: Multiaddr): Deno.QuicEndpoint {
    const family = familyOf(address);
    const loopback = /^(127\.|::1$)/.test(kindOf(address)?.host ?? "");
    for (const { endpoint, family: own } of this.#endpoints) {
      const bound = endpoint.addr.hostname;
      // A socket of loopback reaches nothing else.
      if (own === family && (loopback || !/^(127\.|::1$)/.test(bound))) return endpoint;
    }
    const endpoint = new Deno.QuicEndpoint({ hostname: family === 4 ? "0.0.0.0" : "::", port: 0 });
    this.#endpoints.add({ endpoint, family, dialOnly: true });
    return endpoint;
  }

  async #accept(quic: Deno.QuicConn, upgrader: Upgrader): Promise<void> {
    const signal = AbortSignal.timeout(ACCEPT_TIMEOUT_MS);
    await upgradeOrClose(quic, signal, async () => {
      const first = await firstStreamOf(quic, signal);
      const remotePeer = await this.#prove(first, "inbound", { listenerKey: this.#publicKey, signal });
      const connection = this.#toConnection(quic, "inbound", remoteAddressOf(quic, "/quic-v1/noise"));
      await upgrader.upgradeInbound(connection, { ...this.#proven(quic, remotePeer), signal });
    });
  }

  /** Resolves with the peer that holds the key of its id; the dialer begins. */
  async #prove(
    first: Deno.QuicBidirectionalStream,
    direction: "inbound" | "outbound",
    { listenerKey, ...proof }: Pick<NoiseProof, "remotePeer" | "signal"> & { listenerKey: Uint8Array },
  ): Promise<PeerId> {
    const stream = new QuicStream(first, { ...NOISE_STREAM, direction, log: this.#log });
    const prologue = concat([PROLOGUE, listenerKey]);
    const begins = direction === "outbound";
    return (await proveByNoise(stream, this.#components, { ...proof, begins, prologue })).remotePeer;
  }

  #toConnection(quic: Deno.QuicConn, direction: "inbound" | "outbound", remoteAddr: Multiaddr) {
    return new QuicMultiaddrConnection(quic, { remoteAddr, direction, log: this.#log.newScope(direction) });
  }

  #proven(quic: Deno.QuicConn, remotePeer: PeerId) {
    return {
      ...PROVEN,
      remotePeer,
      muxerFactory: createQuicMuxerFactory(quic, {
        protocol: "/quic-v1",
        toStream: (stream, init) => new QuicStream(stream, init),
      }),
    };
  }
}

interface QuicListenerDeps {
  bind(address: Multiaddr): { own: OwnEndpoint; listener: Deno.QuicListener };
  accept(quic: Deno.QuicConn): Promise<void>;
  close(own: OwnEndpoint): void;
  log: Logger;
}

class QuicListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #deps: QuicListenerDeps;
  #bound: { own: OwnEndpoint; listener: Deno.QuicListener; address: Multiaddr } | undefined;
  #accepting: Promise<unknown> = Promise.resolve();

  constructor(deps: QuicListenerDeps) {
    super();
    this.#deps = deps;
  }

  listen(address: Multiaddr): Promise<void> {
    const { own, listener } = this.#deps.bind(address);
    this.#bound = { own, listener, address };
    this.#accepting = Promise.all(Array.from({ length: PARALLEL_ACCEPTS }, () => this.#accept(listener)));
    this.safeDispatchEvent("listening");
    return Promise.resolve();
  }

  getAddrs(): Multiaddr[] {
    if (this.#bound === undefined) return [];
    const { own: { endpoint }, address } = this.#bound;
    return getThinWaistAddresses(address, endpoint.addr.port).map((waist) =>
      waist.encapsulate("/quic-v1/noise")
    );
  }

  updateAnnounceAddrs(): void {
    // Nothing about an address is known only at run time.
  }

  async close(): Promise<void> {
    const bound = this.#bound;
    this.#bound = undefined;
    if (bound === undefined) return;
    bound.listener.stop();
    // Only the end of the socket ends what waits for connections.
    this.#deps.close(bound.own);
    await this.#accepting;
    this.safeDispatchEvent("close");
  }

  /** Takes one connection after the other until the listener stops. A handshake counts as long as it takes. */
  async #accept(listener: Deno.QuicListener): Promise<void> {
    while (this.#bound !== undefined) {
      try {
        const quic = await listener.accept();
        await this.#deps.accept(quic);
      } catch (error) {
        if (error instanceof Deno.errors.BadResource) return;
        this.#deps.log("an inbound connection failed: %s", errorMessage(error));
      }
    }
  }
}

function isQuic(address: Multiaddr): boolean {
  const kind = kindOf(address);
  return kind?.transport === "quic" && kind.relayId === undefined &&
    !address.getComponents().some(({ code }) => code === CODE_P2P_CIRCUIT);
}

/** The 32 bytes of an Ed25519 peer id. */
function rawKeyOf(peerId: PeerId): Uint8Array {
  if (peerId.publicKey?.type !== "Ed25519") {
    throw new CodedError(
      "invalid_argument",
      `Could not use QUIC with ${peerId}: its key is not of Ed25519; use one of its TCP addresses`,
    );
  }
  return peerId.publicKey.raw;
}
