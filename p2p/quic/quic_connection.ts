import type { CreateStreamOptions, Logger, StreamMuxerFactory } from "@libp2p/interface";
import { AbstractMultiaddrConnection, AbstractStreamMuxer } from "@libp2p/utils";
import type { Multiaddr } from "@multiformats/multiaddr";
import { MAX_STREAM_WINDOW_BYTES } from "../constants.ts";
import { QuicStream } from "./quic_stream.ts";

/** Name under which the muxer is shown; it is never negotiated. */
const MUXER = "/quic-v1";
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

/** Makes the streams of `quic`, the libp2p connection's own. */
export function createQuicMuxerFactory(quic: Deno.QuicConn): StreamMuxerFactory {
  return { protocol: MUXER, createStreamMuxer: (connection) => new QuicMuxer(quic, connection) };
}

class QuicMuxer extends AbstractStreamMuxer<QuicStream> {
  readonly #quic: Deno.QuicConn;
  #opened = 0;

  constructor(quic: Deno.QuicConn, connection: ConstructorParameters<typeof AbstractStreamMuxer>[0]) {
    super(connection, { protocol: MUXER, name: "quic" });
    this.#quic = quic;
    void this.#accept();
  }

  override async onCreateStream({ signal }: CreateStreamOptions): Promise<QuicStream> {
    signal?.throwIfAborted();
    const stream = await this.#quic.createBidirectionalStream({ waitUntilAvailable: true });
    return this.#toStream(stream, "outbound");
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

  #toStream(stream: Deno.QuicBidirectionalStream, direction: "inbound" | "outbound"): QuicStream {
    const id = `${direction === "inbound" ? "i" : "o"}${this.#opened++}`;
    return new QuicStream(stream, {
      id,
      direction,
      log: this.log.newScope(id),
      maxReadBufferLength: 4 * MAX_STREAM_WINDOW_BYTES,
    });
  }
}
