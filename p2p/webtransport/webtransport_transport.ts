import {
  type Connection,
  type DialTransportOptions,
  type Listener,
  type Logger,
  type PeerId,
  type Transport,
  transportSymbol,
  type Upgrader,
} from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { base64url } from "multiformats/bases/base64";
import { abortable } from "../../core/abortable.ts";
import { isRelayed, kindOf } from "../address_kind.ts";
import { certHashesOf, toDigest } from "../cert_hashes.ts";
import {
  ACCEPT_TIMEOUT_MS,
  NOISE_STREAM,
  type NoiseProof,
  proveByNoise,
  PROVEN,
  type ProvingComponents,
} from "../noise_proof.ts";
import { abandonable, familyOf, peerOf } from "../quic/dialing.ts";
import {
  createQuicMuxerFactory,
  firstStreamOf,
  QuicMultiaddrConnection,
  remoteAddressOf,
  upgradeOrClose,
} from "../quic/quic_connection.ts";
import { certificatesAt } from "./certificate.ts";
import { acceptSession, openSession, type WebTransportSession } from "./http3_connect.ts";
import { ALPN, QUIC_OPTIONS, WebTransportListener } from "./webtransport_listener.ts";
import { WebTransportStream } from "./webtransport_stream.ts";

/**
 * libp2p's WebTransport, as its specification has it, over Deno's QUIC: for browsers and for libp2p nodes of others. TLS meets a
 * certificate whose hash is in the address; Noise XX on the first stream proves both peers and vouches for those hashes.
 */
export function webTransport(
  seed: Uint8Array,
): (components: ProvingComponents) => WebTransportTransport {
  return (components) => new WebTransportTransport(seed, components);
}

/** See {@link webTransport}. */
export class WebTransportTransport implements Transport {
  readonly [transportSymbol] = true;
  readonly [Symbol.toStringTag] = "agentanycast/webtransport";
  readonly #seed: Uint8Array;
  readonly #components: ProvingComponents;
  readonly #log: Logger;
  readonly #dialing = new Map<4 | 6, Deno.QuicEndpoint>();

  constructor(seed: Uint8Array, components: ProvingComponents) {
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
      isWebTransport(address) && peerOf(address) !== undefined && certHashesOf(address).length > 0
    );
  }

  listenFilter(addresses: Multiaddr[]): Multiaddr[] {
    return addresses.filter(isWebTransport);
  }

  async dial(address: Multiaddr, options: DialTransportOptions): Promise<Connection> {
    const { signal } = options;
    const remotePeer = peerOf(address);
    const kind = kindOf(address);
    const hashes = certHashesOf(address);
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
          value: toDigest(hash),
        })),
      } as Deno.ConnectQuicOptions<false>,
    );
    const quic = await abandonable(connecting, signal);
    return await upgradeOrClose(quic, signal, async () => {
      const host = kind.host.includes(":") ? `[${kind.host}]` : kind.host;
      const session = await openSession(quic, `${host}:${kind.port}`);
      const first = await quic.createBidirectionalStream();
      const proven = await this.#prove(first, session, { begins: true, remotePeer, signal });
      assertVouched(hashes, proven.remoteExtensions?.webtransportCerthashes ?? []);
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
    await upgradeOrClose(quic, signal, async () => {
      const session = await abortable(acceptSession(quic), signal);
      const first = await firstStreamOf(quic, signal);
      const extensions = { webtransportCerthashes: vouched };
      const { remotePeer } = await this.#prove(first, session, { begins: false, extensions, signal });
      const from = remoteAddressOf(quic, "/quic-v1/webtransport");
      const connection = this.#toConnection(quic, "inbound", from);
      const proven = toProven(quic, { remotePeer, session });
      await upgrader.upgradeInbound(connection, { ...proven, signal });
    });
  }

  #prove(first: Deno.QuicBidirectionalStream, session: WebTransportSession, proof: NoiseProof) {
    const direction = proof.begins ? "outbound" : "inbound";
    const init = { ...NOISE_STREAM, direction, log: this.#log, session: session.id } as const;
    return proveByNoise(new WebTransportStream(first, init), this.#components, proof);
  }

  #endpointFor(family: 4 | 6): Deno.QuicEndpoint {
    const known = this.#dialing.get(family);
    if (known !== undefined) return known;
    const endpoint = new Deno.QuicEndpoint({ hostname: family === 4 ? "0.0.0.0" : "::", port: 0 });
    this.#dialing.set(family, endpoint);
    return endpoint;
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
    ...PROVEN,
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

/** Whoever has given us the address must have had all its hashes from the peer that is now proven. */
function assertVouched(hashes: readonly Uint8Array[], vouched: readonly Uint8Array[]): void {
  const known = new Set(vouched.map((hash) => base64url.encode(hash)));
  if (hashes.every((hash) => known.has(base64url.encode(hash)))) return;
  throw new Error("the peer does not vouch for the certificate hashes of the address");
}
