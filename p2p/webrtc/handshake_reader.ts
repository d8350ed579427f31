import { concat } from "../concat.ts";
import { ByteReader, u16, u24 } from "./byte_reader.ts";

/** A message of a handshake, whole. */
export interface HandshakeMessage {
  type: number;
  /** 0 as long as nothing is sealed. */
  epoch: number;
  body: Uint8Array;
  /** As the handshake is signed: as if it had come in one piece. */
  whole: Uint8Array;
}

/** Longest message that is read; certificates of WebRTC have a few hundred bytes. */
const MAX_MESSAGE_BYTES = 8 * 1024;
/** Messages that may arrive before the next one. */
const MAX_AHEAD = 6;

interface Partial {
  type: number;
  epoch: number;
  body: Uint8Array;
  /** Which bytes are there. */
  filled: Uint8Array;
  left: number;
}

/** Puts the pieces of a handshake's messages together and in order, in bounded memory. */
export class HandshakeReader {
  readonly #partials = new Map<number, Partial>();
  #next: number;

  /** `next` is the number of the first message. */
  constructor(next: number) {
    this.#next = next;
  }

  /** Takes what a record holds; true when a part of it was there before. Throws `SyntaxError` for what cannot be. */
  take(content: Uint8Array, epoch: number): boolean {
    const reader = new ByteReader(content);
    let isRepeated = false;
    while (reader.left > 0) {
      const type = reader.u8();
      const length = reader.u24();
      const number = reader.u16();
      const offset = reader.u24();
      const piece = reader.take(reader.u24());
      if (length > MAX_MESSAGE_BYTES || offset + piece.length > length) {
        throw new SyntaxError(`a message of the handshake has ${length} bytes`);
      }
      if (number < this.#next) isRepeated = true;
      else if (number < this.#next + MAX_AHEAD) this.#put(number, { type, epoch, length, offset, piece });
    }
    return isRepeated;
  }

  /** The next message, if it is whole. */
  shift(): HandshakeMessage | undefined {
    const number = this.#next;
    const partial = this.#partials.get(number);
    if (partial === undefined || partial.left > 0) return undefined;
    this.#partials.delete(number);
    this.#next++;
    const { type, epoch, body } = partial;
    return { type, epoch, body, whole: encodeMessage(type, number, body) };
  }

  #put(
    number: number,
    { type, epoch, length, offset, piece }: {
      type: number;
      epoch: number;
      length: number;
      offset: number;
      piece: Uint8Array;
    },
  ): void {
    let partial = this.#partials.get(number);
    if (partial === undefined) {
      partial = { type, epoch, body: new Uint8Array(length), filled: new Uint8Array(length), left: length };
      this.#partials.set(number, partial);
    }
    if (partial.type !== type || partial.epoch !== epoch || partial.body.length !== length) {
      throw new SyntaxError("pieces of a message of the handshake do not fit together");
    }
    for (let i = 0; i < piece.length; i++) {
      if (partial.filled[offset + i] === 1) continue;
      partial.filled[offset + i] = 1;
      partial.body[offset + i] = piece[i] ?? 0;
      partial.left--;
    }
  }
}

/** A message in one piece. */
export function encodeMessage(type: number, number: number, body: Uint8Array): Uint8Array {
  const length = u24(body.length);
  return concat([Uint8Array.of(type), length, u16(number), u24(0), length, body]);
}
