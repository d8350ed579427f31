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
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { errorMessage } from "../../core/errors.ts";
import { isRelayed, kindOf } from "../address_kind.ts";
import { certHashesOf, toMultihash } from "../cert_hashes.ts";
import {
  ACCEPT_TIMEOUT_MS,
  NOISE_STREAM,
  type NoiseProof,
  proveByNoise,
  PROVEN,
  type ProvingComponents,
} from "../noise_proof.ts";
import { familyOf, peerOf } from "../quic/dialing.ts";
import type { P256Certificate } from "../p256_certificate.ts";
import { dialerCertificate, listenerCertificate, noisePrologue } from "./certificate.ts";
import { DialPort, resolveHost } from "./dial_port.ts";
import { sha256 } from "./dtls_keys.ts";
import type { UdpAddress } from "./stun.ts";
import { createWebRtcMuxerFactory, WebRtcMultiaddrConnection } from "./webrtc_connection.ts";
import { WebRtcListener } from "./webrtc_listener.ts";
import { WebRtcSession } from "./webrtc_session.ts";
import { WebRtcStream } from "./webrtc_stream.ts";

/**
 * libp2p's WebRTC-direct, as its specification has it: for browsers and for libp2p nodes of others. DTLS meets the certificate
 * whose hash is in the address; Noise XX on the first channel, bound to both certificates, proves both peers.
 */
export function webRtcDirect(seed: Uint8Array): (components: ProvingComponents) => WebRtcTransport {
  return (components) => new WebRtcTransport(seed, components);
}

/** See {@link webRtcDirect}. */
export class WebRtcTransport implements Transport {
  readonly [transportSymbol] = true;
  readonly [Symbol.toStringTag] = "agentanycast/webrtc-direct";
  readonly #seed: Uint8Array;
  readonly #components: ProvingComponents;
  readonly #log: Logger;
  readonly #dialed = new Map<WebRtcSession, DialPort>();
  readonly #closing = new Set<Promise<void>>();

  constructor(seed: Uint8Array, components: ProvingComponents) {
    this.#seed = seed;
    this.#components = components;
    this.#log = components.logger.forComponent("agentanycast:webrtc-direct");
  }

  /** Nothing to do; libp2p stops only what it can start. */
  start(): void {}

  /** Ends what was dialed; called by libp2p. */
  async stop(): Promise<void> {
    for (const session of this.#dialed.keys()) session.close();
    await Promise.all(this.#closing);
  }

  dialFilter(addresses: Multiaddr[]): Multiaddr[] {
    return addresses.filter((address) =>
      isWebRtcDirect(address) && peerOf(address) !== undefined && certHashesOf(address).length > 0
    );
  }

  listenFilter(addresses: Multiaddr[]): Multiaddr[] {
    return addresses.filter(isWebRtcDirect);
  }

  async dial(address: Multiaddr, options: DialTransportOptions): Promise<Connection> {
    const { signal } = options;
    const remotePeer = peerOf(address);
    const kind = kindOf(address);
    const [hash] = certHashesOf(address);
    if (kind === undefined || remotePeer === undefined || hash === undefined) {
      throw new TypeError(`${address} is not for WebRTC-direct`);
    }
    signal.throwIfAborted();
    const certificate = await dialerCertificate();
    const port = new DialPort({
      hostname: await resolveHost(kind.host, familyOf(address)),
      port: kind.port,
    });
    const closed = Promise.withResolvers<Error | undefined>();
    const session = this.#dialSession(port, { certificate, hash, onClosed: closed.resolve });
    try {
      await port.open(signal);
      await session.connect(signal);
      const prologue = noisePrologue(certificate.hash, hash);
      await this.#prove(session, "outbound", { prologue, remotePeer, signal });
      const connection = this.#toConnection(session, closed.promise, { direction: "outbound", address });
      return await options.upgrader.upgradeOutbound(connection, {
        ...options,
        ...toProven(session, remotePeer),
      });
    } catch (error) {
      session.close();
      throw error;
    }
  }

  createListener({ upgrader }: { upgrader: Upgrader }): Listener {
    return new WebRtcListener({
      certificate: () => listenerCertificate(this.#seed),
      accept: (session, from, onClosed) => this.#accept(session, from, { upgrader, onClosed }),
      log: this.#log,
    });
  }

  #dialSession(
    port: DialPort,
    { certificate, hash, onClosed }: {
      certificate: P256Certificate;
      hash: Uint8Array;
      onClosed(reason: Error | undefined): void;
    },
  ): WebRtcSession {
    const session: WebRtcSession = new WebRtcSession({
      ...{ role: "client", certificate },
      checkCertificate: (der) => {
        if (toMultihash(sha256(der)).toHex() === hash.toHex()) return;
        throw new Error("the certificate of the peer is not the one of the address");
      },
      send: (datagram) => port.send(datagram),
      onClosed: (reason) => {
        this.#dialed.delete(session);
        const closing = port.close().finally(() => this.#closing.delete(closing));
        this.#closing.add(closing);
        onClosed(reason);
      },
    });
    this.#dialed.set(session, port);
    port.onDatagram = (datagram) => session.receive(datagram);
    port.onError = (error) => this.#log("a datagram could not be taken: %s", errorMessage(error));
    return session;
  }

  async #accept(
    session: WebRtcSession,
    from: UdpAddress,
    { upgrader, onClosed }: { upgrader: Upgrader; onClosed: Promise<Error | undefined> },
  ): Promise<void> {
    const signal = AbortSignal.timeout(ACCEPT_TIMEOUT_MS);
    const dialerHash = toMultihash(await session.connect(signal));
    const { hash } = await listenerCertificate(this.#seed);
    const remotePeer = await this.#prove(session, "inbound", {
      prologue: noisePrologue(dialerHash, hash),
      signal,
    });
    const family = from.hostname.includes(":") ? "ip6" : "ip4";
    const address = multiaddr(`/${family}/${from.hostname}/udp/${from.port}/webrtc-direct`);
    const connection = this.#toConnection(session, onClosed, { direction: "inbound", address });
    await upgrader.upgradeInbound(connection, { ...toProven(session, remotePeer), signal });
  }

  /** On channel 0, bound to both certificates; the one who listens begins. Resolves with the peer that holds the key of its id. */
  async #prove(
    session: WebRtcSession,
    direction: "inbound" | "outbound",
    proof: Omit<NoiseProof, "begins">,
  ): Promise<PeerId> {
    const init = { ...NOISE_STREAM, direction, log: this.#log };
    const stream = new WebRtcStream(session.noiseChannel, init);
    const begins = direction === "inbound";
    return (await proveByNoise(stream, this.#components, { ...proof, begins })).remotePeer;
  }

  #toConnection(
    session: WebRtcSession,
    onClosed: Promise<Error | undefined>,
    { direction, address }: { direction: "inbound" | "outbound"; address: Multiaddr },
  ): WebRtcMultiaddrConnection {
    const log = this.#log.newScope(direction);
    const connection = new WebRtcMultiaddrConnection(session, { remoteAddr: address, direction, log });
    void onClosed.then((reason) => {
      if (reason !== undefined) log("the connection ended: %s", reason.message);
      connection.onTransportClosed();
    });
    return connection;
  }
}

function toProven(session: WebRtcSession, remotePeer: PeerId) {
  return {
    ...PROVEN,
    remotePeer,
    muxerFactory: createWebRtcMuxerFactory(session),
  };
}

function isWebRtcDirect(address: Multiaddr): boolean {
  return kindOf(address)?.transport === "webrtc-direct" && !isRelayed(address);
}
