import { concat } from "../concat.ts";
import { MAX_FRAGMENT_BYTES } from "./sctp_packet.ts";

/** What a message says beside its content (libp2p's WebRTC specification). */
export const FLAG = { fin: 0, stopSending: 1, reset: 2, finAck: 3 } as const;

/** Longest message that is read, without its length. */
const MAX_MESSAGE_BYTES = 16 * 1024;
/**
 * Content of the longest message that is sent: with what is around it, three full packets. go-libp2p (0.41) reads none beyond
 * 4 KiB, though the specification has 16.
 */
export const MAX_CONTENT_BYTES = 3 * MAX_FRAGMENT_BYTES - 16;

const FLAG_FIELD = 1;
const CONTENT_FIELD = 2;
const VARINT = 0;
const EIGHT_BYTES = 1;
const LENGTH_DELIMITED = 2;
const FOUR_BYTES = 5;
const MAX_VARINT_BYTES = 5;

/** A message of a stream. */
export interface StreamMessage {
  flag: number | undefined;
  content: Uint8Array | undefined;
}

/** A message with its length in front, in protobuf. */
export function encodeStreamMessage({ flag, content }: Partial<StreamMessage>): Uint8Array {
  const head = flag === undefined ? [] : [FLAG_FIELD << 3 | VARINT, flag];
  if (content !== undefined) head.push(CONTENT_FIELD << 3 | LENGTH_DELIMITED, ...varint(content.length));
  const length = head.length + (content?.length ?? 0);
  const start = Uint8Array.from([...varint(length), ...head]);
  return content === undefined ? start : concat([start, content]);
}

/** Takes messages out of the bytes of a channel, in bounded memory. */
export class StreamMessageReader {
  #rest: Uint8Array = new Uint8Array();

  /** The messages that are whole with `bytes`. Throws `SyntaxError` for what is none. */
  *take(bytes: Uint8Array): Generator<StreamMessage> {
    this.#rest = this.#rest.length === 0 ? bytes : concat([this.#rest, bytes]);
    while (this.#rest.length > 0) {
      const length = readVarint(this.#rest, 0);
      if (length === undefined) return;
      if (length.value > MAX_MESSAGE_BYTES) throw new SyntaxError(`a message has ${length.value} bytes`);
      const end = length.end + length.value;
      if (this.#rest.length < end) return;
      const message = this.#rest.subarray(length.end, end);
      this.#rest = this.#rest.subarray(end);
      yield parse(message);
    }
  }
}

function parse(bytes: Uint8Array): StreamMessage {
  const message: StreamMessage = { flag: undefined, content: undefined };
  let offset = 0;
  const next = () => {
    const found = readVarint(bytes, offset);
    if (found === undefined) throw new SyntaxError("a message ends within a field");
    offset = found.end;
    return found.value;
  };
  while (offset < bytes.length) {
    const tag = next();
    const [field, kind] = [tag >>> 3, tag & 7];
    if (kind === VARINT) {
      const value = next();
      if (field === FLAG_FIELD) message.flag = value;
      continue;
    }
    const length = kind === LENGTH_DELIMITED
      ? next()
      : kind === EIGHT_BYTES
      ? 8
      : kind === FOUR_BYTES
      ? 4
      : -1;
    if (length < 0 || offset + length > bytes.length) throw new SyntaxError("a message ends within a field");
    if (field === CONTENT_FIELD && kind === LENGTH_DELIMITED) {
      message.content = bytes.subarray(offset, offset + length);
    }
    offset += length;
  }
  return message;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push(rest & 0x7f | 0x80);
  return [...bytes, rest];
}

/** The number at `offset`, and what is behind it; undefined when not all of it is there. */
function readVarint(bytes: Uint8Array, offset: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let i = 0; i < MAX_VARINT_BYTES; i++) {
    const byte = bytes[offset + i];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, end: offset + i + 1 };
  }
  throw new SyntaxError("a number of a message is too long");
}
