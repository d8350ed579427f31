import type { AbortOptions, CreateStreamOptions, Logger, StreamMuxerFactory } from "@libp2p/interface";
import { AbstractMultiaddrConnection, AbstractStreamMuxer } from "@libp2p/utils";
import type { Multiaddr } from "@multiformats/multiaddr";
import { RECEIVE_WINDOW_BYTES } from "./sctp_receiver.ts";
import type { DataChannel } from "./data_channels.ts";
import type { WebRtcSession } from "./webrtc_session.ts";
import { WebRtcStream } from "./webrtc_stream.ts";

/** Longest time for which a connection that is closed waits for the peer to have all. */
const FLUSH_TIMEOUT_MS = 1_000;

/** What a connection is told. */
export interface WebRtcConnectionInit {
  remoteAddr: Multiaddr;
  direction: "inbound" | "outbound";
  log: Logger;
}

/** A WebRTC connection as libp2p wants it: no bytes of its own, only streams. */
export class WebRtcMultiaddrConnection extends AbstractMultiaddrConnection {
  readonly #session: WebRtcSession;

  constructor(session: WebRtcSession, init: WebRtcConnectionInit) {
    super(init);
    this.#session = session;
  }

  override sendData(): never {
    throw new TypeError("A WebRTC connection carries bytes only in its streams");
  }

  override async sendClose(options?: AbortOptions): Promise<void> {
    const timeout = AbortSignal.timeout(FLUSH_TIMEOUT_MS);
    try {
      await this.#session.flushed(
        options?.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]),
      );
    } catch {
      // It has had its time.
    }
    this.#session.close();
  }

  override sendReset(): void {
    this.#session.close();
  }

  override sendPause(): void {
    // Its streams are paused one by one.
  }

  override sendResume(): void {
    // Its streams are paused one by one.
  }
}

/** Makes the streams of `session`, each on a data channel of its own. */
export function createWebRtcMuxerFactory(session: WebRtcSession): StreamMuxerFactory {
  return { protocol: "/webrtc", createStreamMuxer: (connection) => new WebRtcMuxer(session, connection) };
}

class WebRtcMuxer extends AbstractStreamMuxer<WebRtcStream> {
  readonly #session: WebRtcSession;

  constructor(session: WebRtcSession, connection: ConstructorParameters<typeof AbstractStreamMuxer>[0]) {
    super(connection, { protocol: "/webrtc", name: "webrtc" });
    this.#session = session;
    session.channels.accept((channel) => this.onRemoteStream(this.#toStream(channel, "inbound")));
  }

  override onCreateStream({ signal }: CreateStreamOptions): WebRtcStream {
    signal?.throwIfAborted();
    return this.#toStream(this.#session.channels.open(), "outbound");
  }

  override onData(): void {
    // A WebRTC connection has no bytes of its own.
  }

  #toStream(channel: DataChannel, direction: "inbound" | "outbound"): WebRtcStream {
    const id = `${direction === "inbound" ? "i" : "o"}${channel.id}`;
    return new WebRtcStream(channel, {
      ...{ id, direction },
      log: this.log.newScope(id),
      maxReadBufferLength: 4 * RECEIVE_WINDOW_BYTES,
    });
  }
}
