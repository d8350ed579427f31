import { concat } from "../concat.ts";
import { QuicByteStream, type QuicStreamInit } from "../quic/byte_stream.ts";
import { decodeVarint, encodeVarint, varintLength } from "./varint.ts";

/** In front of each stream of a session, before the session's number. */
const STREAM_TYPE = 0x41;

/** What a stream of a session is told. */
export interface WebTransportStreamInit extends QuicStreamInit {
  /** Session that the stream belongs to. */
  session: number;
}

/**
 * A libp2p stream of a WebTransport session: what is in front of it says which, then come bytes as they are. Deno cannot
 * reset a stream, so one that is given up here ends for the peer; what libp2p frames tells that something is missing.
 */
export class WebTransportStream extends QuicByteStream {
  readonly #session: number;
  /** What came of the stream's beginning; undefined when it is past. */
  #beginning: Uint8Array | undefined;

  constructor(stream: Deno.QuicBidirectionalStream, { session, ...init }: WebTransportStreamInit) {
    super(stream, init);
    this.#session = session;
    if (init.direction === "inbound") this.#beginning = new Uint8Array();
    else this.write(concat([encodeVarint(STREAM_TYPE), encodeVarint(session)]));
    void this.read();
  }

  protected override put(bytes: Uint8Array): void {
    // QUIC takes it later, when libp2p may have another use for the buffer.
    if (bytes.length > 0) this.write(bytes.slice());
  }

  protected override putEnd(): void {
    // The end of the QUIC stream says it.
  }

  protected override take(bytes: Uint8Array): boolean {
    if (this.#beginning === undefined) {
      this.onData(bytes);
      return true;
    }
    this.#beginning = concat([this.#beginning, bytes]);
    const typeLength = varintLength(this.#beginning[0] ?? 0);
    const session = this.#beginning.subarray(typeLength);
    const length = typeLength + varintLength(session[0] ?? 0);
    if (session.length === 0 || this.#beginning.length < length) return true;
    if (decodeVarint(this.#beginning) !== STREAM_TYPE || decodeVarint(session) !== this.#session) {
      return false;
    }
    const content = this.#beginning.subarray(length);
    this.#beginning = undefined;
    if (content.length > 0) this.onData(content);
    return true;
  }

  protected override takeEnd(): void {
    if (this.#beginning !== undefined) this.lose();
    else this.onRemoteCloseWrite();
  }
}
