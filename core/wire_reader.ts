import { getTextEncoding } from "@bufbuild/protobuf/wire";

/** Longest string that is put together character by character; a call into the decoder costs more. */
const MAX_COPIED_CHARS = 64;
/** Messages inside each other, at most. */
const MAX_DEPTH = 100;

/** Reads a protobuf message; generated code asks it field by field. Bytes it answers are views of what it reads. */
export class WireReader {
  /** Where the next byte is. */
  pos = 0;
  /** Where the message ends that is being read. */
  end: number;
  readonly #bytes: Uint8Array;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.end = bytes.length;
  }

  /** Begins a message inside this one; answers where this one ends, for {@link leave}. */
  enter(): number {
    const outer = this.end;
    const size = this.uint32();
    this.end = this.pos + size;
    if (this.end > outer) throw new RangeError("a message ends beyond the one it is in");
    if (++this.#depth > MAX_DEPTH) throw new RangeError(`it is nested deeper than ${MAX_DEPTH} levels`);
    return outer;
  }

  leave(outer: number): void {
    if (this.pos !== this.end) throw new RangeError("a field ends beyond its message");
    this.end = outer;
    this.#depth--;
  }

  /** A number of up to 32 bits, such as a tag; of a longer one the lower bits. */
  uint32(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.pos++];
    if (byte === undefined) throw endsEarly();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let shift = 7; shift < 70; shift += 7) {
      byte = bytes[this.pos++];
      if (byte === undefined) throw endsEarly();
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new RangeError("a number is too long");
  }

  /** Also for enums. */
  int32(): number {
    return this.uint32() | 0;
  }

  bool(): boolean {
    return this.uint64() !== 0n;
  }

  int64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  uint64(): bigint {
    const bytes = this.#bytes;
    let low = 0;
    for (let i = 0, factor = 1; i < 7; i++, factor *= 128) {
      const byte = bytes[this.pos++];
      if (byte === undefined) throw endsEarly();
      low += (byte & 0x7f) * factor;
      if (byte < 0x80) return BigInt(low);
    }
    let value = BigInt(low);
    for (let shift = 49n; shift < 70n; shift += 7n) {
      const byte = bytes[this.pos++];
      if (byte === undefined) throw endsEarly();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new RangeError("a number is too long");
  }

  double(): number {
    const bytes = this.#take(8);
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, true);
  }

  bytes(): Uint8Array {
    return this.#take(this.uint32());
  }

  /** @throws TypeError for bytes that are no UTF-8. */
  string(): string {
    const length = this.uint32();
    if (length === 0) return "";
    const bytes = this.#bytes;
    const start = this.pos;
    if (length > MAX_COPIED_CHARS || start + length > this.end) return decode(this.#take(length));
    const codes = new Array<number>(length);
    for (let i = 0; i < length; i++) {
      const byte = bytes[start + i] ?? 0;
      if (byte > 0x7f) return decode(this.#take(length));
      codes[i] = byte;
    }
    this.pos += length;
    return String.fromCharCode.apply(undefined, codes);
  }

  /** Passes over a field that is not known. */
  skip(tag: number): void {
    if (tag >>> 3 === 0) throw new RangeError("a field has the number 0");
    switch (tag & 7) {
      case 0:
        return void this.uint64();
      case 1:
        return void this.#move(8);
      case 2:
        return void this.#move(this.uint32());
      case 5:
        return void this.#move(4);
      default:
        throw new RangeError(`a field has wire type ${tag & 7}, which is not taken`);
    }
  }

  #take(length: number): Uint8Array {
    const start = this.pos;
    this.#move(length);
    return this.#bytes.subarray(start, this.pos);
  }

  #move(length: number): void {
    this.pos += length;
    if (this.pos > this.end) throw new RangeError("a field ends beyond its message");
  }
}

function decode(bytes: Uint8Array): string {
  return (getTextEncoding() as { decodeUtf8(bytes: Uint8Array, strict: boolean): string }).decodeUtf8(
    bytes,
    true,
  );
}

function endsEarly(): RangeError {
  return new RangeError("it ends early");
}
