import {
  type ComponentLogger,
  type Connection,
  type DialTransportOptions,
  type Listener,
  type Logger,
  type PeerId,
  type PrivateKey,
  type Transport,
  transportSymbol,
  type Upgrader,
} from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { CODE_CERTHASH, type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { base64url } from "multiformats/bases/base64";
import { abortable } from "../../core/abortable.ts";
import { isRelayed, kindOf } from "../address_kind.ts";
import { abandonable, familyOf, peerOf } from "../quic/dialing.ts";
import { createQuicMuxerFactory, QuicMultiaddrConnection } from "../quic/quic_connection.ts";
import { certificatesAt } from "./certificate.ts";
import { acceptSession, openSession, type WebTransportSession } from "./http3_connect.ts";
import { ALPN, QUIC_OPTIONS, WebTransportListener } from "./webtransport_listener.ts";
import { WebTransportStream } from "./webtransport_stream.ts";

/** Longest time of a handshake that a peer began. */
const ACCEPT_TIMEOUT_MS = 10_000;
const HANDSHAKE_STREAM = { maxReadBufferLength: 64 * 1024 };
/** A multihash of SHA-256 begins with it. */
const SHA256_PREFIX = [0x12, 0x20];

interface WebTransportComponents {
  peerId: PeerId;
  privateKey: PrivateKey;
  upgrader: Upgrader;
  logger: ComponentLogger;
}

/**
 * libp2p's WebTransport, as its specification has it, over Deno's QUIC: for browsers and for libp2p nodes of others. TLS meets a
 * certificate whose hash is in the address; Noise XX on the first stream proves both peers and vouches for those hashes.
 */
export function webTransport(
  seed: Uint8Array,
): (components: WebTransportComponents) => WebTransportTransport {
  return (components) => new WebTransportTransport(seed, components);
}

/** See {@link webTransport}. */
export class WebTransportTransport implements Transport {
  readonly [transportSymbol] = true;
  readonly [Symbol.toStringTag] = "agentanycast/webtransport";
  readonly #seed: Uint8Array;
  readonly #components: WebTransportComponents;
  readonly #log: Logger;
  readonly #dialing = new Map<4 | 6, Deno.QuicEndpoint>();

  constructor(seed: Uint8Array, components: WebTransportComponents) {
    this.#seed = seed;
    this.#components = components;
    this.#log = components.logger.forComponent("agentanycast:webtransport");
  }

  /** Nothing to do; libp2p stops only what it can start. */
  start(): void {}

  /** Closes the sockets that dial; called by libp2p. */
  stop(): void {
    for (const endpoint of this.#dialing.values()) endpoint.close({ closeCode: 0, reason: "closed" });
    this.#dialing.clear();
  }

  dialFilter(addresses: Multiaddr[]): Multiaddr[] {
    return addresses.filter((address) =>
      isWebTransport(address) && peerOf(address) !== undefined && hashesOf(address).length > 0
    );
  }

  listenFilter(addresses: Multiaddr[]): Multiaddr[] {
    return addresses.filter(isWebTransport);
  }

  async dial(address: Multiaddr, options: DialTransportOptions): Promise<Connection> {
    const { signal } = options;
    const remotePeer = peerOf(address);
    const kind = kindOf(address);
    const hashes = hashesOf(address);
    if (kind === undefined || remotePeer === undefined || hashes.length === 0) {
      throw new TypeError(`${address} is not for WebTransport`);
    }
    signal.throwIfAborted();
    const connecting = Deno.connectQuic<false>(
      {
        ...QUIC_OPTIONS,
        hostname: kind.host,
        port: kind.port,
        alpnProtocols: [ALPN],
        endpoint: this.#endpointFor(familyOf(address)),
        // Deno's own WebTransport uses it too; its types leave it out.
        serverCertificateHashes: hashes.map((hash) => ({
          algorithm: "sha-256",
          value: hash.slice(SHA256_PREFIX.length),
        })),
      } as Deno.ConnectQuicOptions<false>,
    );
    const quic = await abandonable(connecting, signal);
    return await this.#upgrade(quic, signal, async () => {
      const host = kind.host.includes(":") ? `[${kind.host}]` : kind.host;
      const session = await openSession(quic, `${host}:${kind.port}`);
      const first = new WebTransportStream(await quic.createBidirectionalStream(), {
        ...HANDSHAKE_STREAM,
        id: "noise",
        direction: "outbound",
        log: this.#log,
        session: session.id,
      });
      const encrypter = noise()(this.#components);
      const proven = await encrypter.secureOutbound(first, {
        signal,
        skipStreamMuxerNegotiation: true,
        remotePeer,
      });
      assertVouched(hashes, proven.remoteExtensions?.webtransportCerthashes ?? []);
      await first.close({ signal });
      const connection = this.#toConnection(quic, "outbound", address);
      return await options.upgrader.upgradeOutbound(connection, {
        ...options,
        ...toProven(quic, { remotePeer, session }),
      });
    });
  }

  createListener({ upgrader }: { upgrader: Upgrader }): Listener {
    const listener: WebTransportListener = new WebTransportListener({
      certificatesAt: (nowMs) => certificatesAt(this.#seed, nowMs),
      accept: (quic) => this.#accept(quic, { upgrader, vouched: listener.vouched }),
      log: this.#log,
    });
    return listener;
  }

  async #accept(
    quic: Deno.QuicConn,
    { upgrader, vouched }: { upgrader: Upgrader; vouched: Uint8Array[] },
  ): Promise<void> {
    const signal = AbortSignal.timeout(ACCEPT_TIMEOUT_MS);
    await this.#upgrade(quic, signal, async () => {
      const session = await abortable(acceptSession(quic), signal);
      const streams = quic.incomingBidirectionalStreams.getReader();
      const { value } = await abortable(streams.read(), signal);
      streams.releaseLock();
      if (value === undefined) throw new Error("the peer opened no stream");
      const first = new WebTransportStream(value, {
        ...HANDSHAKE_STREAM,
        id: "noise",
        direction: "inbound",
        log: this.#log,
        session: session.id,
      });
      const encrypter = noise({ extensions: { webtransportCerthashes: vouched } })(this.#components);
      const { remotePeer } = await encrypter.secureInbound(first, {
        signal,
        skipStreamMuxerNegotiation: true,
      });
      await first.close({ signal });
      const { hostname, port } = quic.remoteAddr;
      const family = hostname.includes(":") ? "ip6" : "ip4";
      const from = multiaddr(`/${family}/${hostname}/udp/${port}/quic-v1/webtransport`);
      const connection = this.#toConnection(quic, "inbound", from);
      const proven = toProven(quic, { remotePeer, session });
      await upgrader.upgradeInbound(connection, { ...proven, signal });
    });
  }

  #endpointFor(family: 4 | 6): Deno.QuicEndpoint {
    const known = this.#dialing.get(family);
    if (known !== undefined) return known;
    const endpoint = new Deno.QuicEndpoint({ hostname: family === 4 ? "0.0.0.0" : "::", port: 0 });
    this.#dialing.set(family, endpoint);
    return endpoint;
  }

  /** Runs `work`; a connection that it fails with is closed. */
  async #upgrade<T>(quic: Deno.QuicConn, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await abortable(work(), signal);
    } catch (error) {
      quic.close({ closeCode: 1, reason: "handshake failed" });
      throw error;
    }
  }

  #toConnection(quic: Deno.QuicConn, direction: "inbound" | "outbound", remoteAddr: Multiaddr) {
    return new QuicMultiaddrConnection(quic, { remoteAddr, direction, log: this.#log.newScope(direction) });
  }
}

function toProven(
  quic: Deno.QuicConn,
  { remotePeer, session }: { remotePeer: PeerId; session: WebTransportSession },
) {
  void session.ended.then(() => quic.close({ closeCode: 0, reason: "the session ended" }));
  return {
    skipEncryption: true as const,
    skipProtection: true,
    remotePeer,
    muxerFactory: createQuicMuxerFactory(quic, {
      protocol: "/webtransport",
      toStream: (stream, init) => new WebTransportStream(stream, { ...init, session: session.id }),
      held: session,
    }),
  };
}

function isWebTransport(address: Multiaddr): boolean {
  return kindOf(address)?.transport === "webtransport" && !isRelayed(address);
}

/** Multihashes of SHA-256 of the certificates that `address` allows; other kinds of hashes cannot be checked. */
function hashesOf(address: Multiaddr): Uint8Array[] {
  return address.getComponents()
    .flatMap(({ code, value }) => code === CODE_CERTHASH && value?.startsWith("u") ? [value] : [])
    .map((value) => base64url.decode(value))
    .filter((hash) => hash.length === 34 && SHA256_PREFIX.every((byte, i) => hash[i] === byte));
}

/** Whoever has given us the address must have had all its hashes from the peer that is now proven. */
function assertVouched(hashes: readonly Uint8Array[], vouched: readonly Uint8Array[]): void {
  const known = new Set(vouched.map((hash) => base64url.encode(hash)));
  if (hashes.every((hash) => known.has(base64url.encode(hash)))) return;
  throw new Error("the peer does not vouch for the certificate hashes of the address");
}
