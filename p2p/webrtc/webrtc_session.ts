import type { P256Certificate } from "../p256_certificate.ts";
import { type DataChannel, DataChannels } from "./data_channels.ts";
import { DtlsConnection } from "./dtls_connection.ts";
import { sha256 } from "./dtls_keys.ts";
import { SctpAssociation, TICK_MS } from "./sctp_association.ts";

/** How often it is looked whether the peer has all. */
const IDLE_CHECK_MS = 10;

/** With whom a session is, and over what. */
export interface SessionInit {
  role: "client" | "server";
  certificate: P256Certificate;
  /** Numbers of the message and the record that bring the hello with its cookie; for a server. */
  start?: { message: number; record: number };
  /** Throws when the peer's certificate, in DER, is not the one that is wanted. */
  checkCertificate(der: Uint8Array): void;
  /** Sends a datagram, which may be lost. */
  send(datagram: Uint8Array): void;
  /** Called once, when the session has ended by itself, the peer's doing or {@link WebRtcSession.close}. */
  onClosed(reason: Error | undefined): void;
}

/** Data channels with one peer over datagrams: DTLS, and SCTP in it. */
export class WebRtcSession {
  readonly channels: DataChannels;
  /** Channel 0, on which the peers prove who they are. */
  readonly noiseChannel: DataChannel;
  readonly #init: SessionInit;
  readonly #dtls: DtlsConnection;
  readonly #sctp: SctpAssociation;
  #timer: ReturnType<typeof setInterval> | undefined;
  #isClosed = false;

  constructor(init: SessionInit) {
    const { role, certificate, start, checkCertificate, send } = init;
    this.#init = init;
    this.#sctp = new SctpAssociation({
      begins: role === "client",
      send: (packet) => this.#dtls.send(packet),
      onMessage: (message) => this.channels.onMessage(message),
      onStreamsEnded: (streams) => this.channels.onStreamsEnded(streams),
      onStreamsReset: (streams) => this.channels.onStreamsReset(streams),
      onProgress: () => this.channels.onProgress(),
      onClosed: (reason) => this.#end(reason),
    });
    this.channels = new DataChannels(this.#sctp, role);
    this.noiseChannel = this.channels.negotiated(0);
    this.#dtls = new DtlsConnection({
      ...{ role, certificate, checkCertificate, send },
      ...start === undefined ? {} : { start },
      onData: (packet) => this.#onPacket(packet),
      onClosed: () => this.#end(undefined),
    });
  }

  /** Shakes hands; resolves with the SHA-256 of the peer's certificate. Rejects with what is wrong, or as `signal` says. */
  async connect(signal: AbortSignal): Promise<Uint8Array> {
    const onAbort = () => this.close();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      const peer = await this.#dtls.handshake(signal);
      if (this.#isClosed) throw new Error("the connection was closed");
      this.#timer = setInterval(() => this.#sctp.tick(), TICK_MS);
      this.#sctp.start();
      await this.#sctp.established;
      return sha256(peer);
    } catch (error) {
      this.close();
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Takes a datagram of the peer; whatever is in it never throws. */
  receive(datagram: Uint8Array): void {
    this.#dtls.receive(datagram);
  }

  /** Resolves when the peer has all that was sent, or rejects when `signal` fires. */
  async flushed(signal: AbortSignal): Promise<void> {
    while (!this.#isClosed && !this.#sctp.isIdle) {
      signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, IDLE_CHECK_MS));
    }
  }

  /** Ends the session at once; the peer is told. */
  close(): void {
    this.#end(undefined);
  }

  #onPacket(packet: Uint8Array): void {
    try {
      this.#sctp.receive(packet);
    } catch (error) {
      // The peer itself has sealed it: whatever is wrong with it is wrong with the connection.
      this.#end(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #end(reason: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#sctp.close();
    this.#dtls.close();
    this.#init.onClosed(reason);
    this.channels.end();
  }
}
