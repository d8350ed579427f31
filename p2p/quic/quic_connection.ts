import type { CreateStreamOptions, Logger, StreamMuxerFactory } from "@libp2p/interface";
import { AbstractMultiaddrConnection, type AbstractStream, AbstractStreamMuxer } from "@libp2p/utils";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { abortable } from "../../core/abortable.ts";
import { MAX_STREAM_WINDOW_BYTES } from "../constants.ts";
import type { QuicStreamInit } from "./byte_stream.ts";

/** QUIC application error codes of a connection that ends: in order, or given up. */
const CLOSED = 0;
const GIVEN_UP = 1;

/** What a connection of QUIC is told. */
export interface QuicConnectionInit {
  remoteAddr: Multiaddr;
  direction: "inbound" | "outbound";
  log: Logger;
}

/** A QUIC connection as libp2p wants it: no bytes of its own, only streams. */
export class QuicMultiaddrConnection extends AbstractMultiaddrConnection {
  readonly #quic: Deno.QuicConn;

  constructor(quic: Deno.QuicConn, init: QuicConnectionInit) {
    super(init);
    this.#quic = quic;
    quic.closed.then(() => this.onTransportClosed(), () => this.onTransportClosed());
  }

  override sendData(): never {
    throw new TypeError("A QUIC connection carries bytes only in its streams");
  }

  override sendClose(): Promise<void> {
    this.#quic.close({ closeCode: CLOSED, reason: "closed" });
    return Promise.resolve();
  }

  override sendReset(): void {
    this.#quic.close({ closeCode: GIVEN_UP, reason: "given up" });
  }

  override sendPause(): void {
    // Its streams are paused one by one.
  }

  override sendResume(): void {
    // Its streams are paused one by one.
  }
}

/** Does `work` until `signal` fires; a connection with which it fails is closed. */
export async function upgradeOrClose<T>(
  quic: Deno.QuicConn,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await abortable(work(), signal);
  } catch (error) {
    quic.close({ closeCode: GIVEN_UP, reason: "handshake failed" });
    throw error;
  }
}

/** The first stream that the peer opens. Rejects when there is none, or with the reason of `signal`. */
export async function firstStreamOf(
  quic: Deno.QuicConn,
  signal: AbortSignal,
): Promise<Deno.QuicBidirectionalStream> {
  const streams = quic.incomingBidirectionalStreams.getReader();
  const { value } = await abortable(streams.read(), signal);
  streams.releaseLock();
  if (value === undefined) throw new Error("the peer opened no stream");
  return value;
}

/** Where the peer of `quic` is, under the transport that `suffix` says. */
export function remoteAddressOf(
  { remoteAddr: { hostname, port } }: Deno.QuicConn,
  suffix: string,
): Multiaddr {
  return multiaddr(`/${hostname.includes(":") ? "ip6" : "ip4"}/${hostname}/udp/${port}${suffix}`);
}

/** What a muxer over a QUIC connection makes its streams of. */
export interface QuicMuxerInit<T extends AbstractStream> {
  /** Name under which the muxer is shown; it is never negotiated. */
  protocol: string;
  toStream(stream: Deno.QuicBidirectionalStream, init: QuicStreamInit): T;
  /** What may not be collected before the connection is gone. */
  held?: unknown;
}

/** Makes the streams of `quic`, the libp2p connection's own. */
export function createQuicMuxerFactory<T extends AbstractStream>(
  quic: Deno.QuicConn,
  init: QuicMuxerInit<T>,
): StreamMuxerFactory {
  return {
    protocol: init.protocol,
    createStreamMuxer: (connection) => new QuicMuxer(quic, init, connection),
  };
}

class QuicMuxer<T extends AbstractStream> extends AbstractStreamMuxer<T> {
  readonly #quic: Deno.QuicConn;
  readonly #init: QuicMuxerInit<T>;
  #opened = 0;

  constructor(
    quic: Deno.QuicConn,
    init: QuicMuxerInit<T>,
    connection: ConstructorParameters<typeof AbstractStreamMuxer>[0],
  ) {
    super(connection, { protocol: init.protocol, name: "quic" });
    this.#quic = quic;
    this.#init = init;
    void this.#accept();
  }

  override async onCreateStream({ signal }: CreateStreamOptions): Promise<T> {
    signal?.throwIfAborted();
    // A peer that allows no more streams lets this wait for as long as it likes.
    const opening = this.#quic.createBidirectionalStream({ waitUntilAvailable: true });
    try {
      return this.#toStream(await (signal ? abortable(opening, signal) : opening), "outbound");
    } catch (error) {
      opening.then((late) => this.#toStream(late, "outbound").abort(new Error("too late")), () => {
        // It failed by itself.
      });
      throw error;
    }
  }

  override onData(): void {
    // A QUIC connection has no bytes of its own.
  }

  async #accept(): Promise<void> {
    try {
      for await (const stream of this.#quic.incomingBidirectionalStreams) {
        this.onRemoteStream(this.#toStream(stream, "inbound"));
      }
    } catch {
      // The connection is gone, which its owner is told by itself.
    }
  }

  #toStream(stream: Deno.QuicBidirectionalStream, direction: "inbound" | "outbound"): T {
    const id = `${direction === "inbound" ? "i" : "o"}${this.#opened++}`;
    return this.#init.toStream(stream, {
      id,
      direction,
      log: this.log.newScope(id),
      maxReadBufferLength: 4 * MAX_STREAM_WINDOW_BYTES,
    });
  }
}
