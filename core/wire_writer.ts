import { getTextEncoding } from "@bufbuild/protobuf/wire";

/** Longest string whose characters are copied one by one; a call into the encoder costs more. */
const MAX_COPIED_CHARS = 192;
/** Room kept between messages. */
const KEPT_BYTES = 64 * 1024;

/**
 * Writes one protobuf message after the other into memory that it keeps. Fields are written by generated code, which gives
 * tags as the wire has them: the field's number and wire type in one.
 */
export class WireWriter {
  #buffer = new Uint8Array(KEPT_BYTES);
  #view = new DataView(this.#buffer.buffer);
  #pos = 0;

  /** The bytes of what was written, for the caller to keep; the writer is empty then. */
  finish(): Uint8Array {
    // What had to grow is handed over, unless much of it is empty.
    const isGrown = this.#buffer.length > KEPT_BYTES && this.#pos * 2 > this.#buffer.length;
    const bytes = isGrown ? this.#buffer.subarray(0, this.#pos) : this.#buffer.slice(0, this.#pos);
    this.reset();
    return bytes;
  }

  /** Forgets what was written. */
  reset(): void {
    this.#pos = 0;
    if (this.#buffer.length === KEPT_BYTES) return;
    this.#buffer = new Uint8Array(KEPT_BYTES);
    this.#view = new DataView(this.#buffer.buffer);
  }

  /** Begins a message inside this one; what it answers is for {@link end}. */
  begin(tag: number): number {
    this.#reserve(11);
    this.#uint(tag);
    return this.#pos++;
  }

  /** Ends the message that began at `start`. */
  end(start: number): void {
    const size = this.#pos - start - 1;
    if (size > 0x7f) {
      const extra = lengthOfUint(size) - 1;
      this.#reserve(extra);
      this.#buffer.copyWithin(start + 1 + extra, start + 1, this.#pos);
      this.#pos = start;
      this.#uint(size);
      this.#pos += size;
    } else this.#buffer[start] = size;
  }

  /** Half a character, which UTF-8 cannot tell, becomes U+FFFD. */
  string(tag: number, text: string): void {
    const { length } = text;
    this.#reserve(length + 10);
    this.#uint(tag);
    if (length > MAX_COPIED_CHARS) return this.#encode(text);
    const start = this.#pos;
    this.#uint(length);
    const buffer = this.#buffer;
    let pos = this.#pos;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) {
        this.#pos = start;
        return this.#encode(text);
      }
      buffer[pos++] = code;
    }
    this.#pos = pos;
  }

  bytes(tag: number, bytes: Uint8Array): void {
    this.#reserve(bytes.length + 10);
    this.#uint(tag);
    this.#uint(bytes.length);
    this.#buffer.set(bytes, this.#pos);
    this.#pos += bytes.length;
  }

  bool(tag: number, value: boolean): void {
    this.#reserve(6);
    this.#uint(tag);
    this.#buffer[this.#pos++] = value ? 1 : 0;
  }

  /** Also for enums. @throws RangeError for what is no int32. */
  int32(tag: number, value: number): void {
    checkInt32(value);
    this.#reserve(16);
    this.#uint(tag);
    this.#int32(value);
  }

  /** One of many in a packed list. */
  int32Value(value: number): void {
    checkInt32(value);
    this.#reserve(10);
    this.#int32(value);
  }

  /** @throws RangeError for what is no uint32. */
  uint32(tag: number, value: number): void {
    if (!Number.isInteger(value) || value > 0xffff_ffff || value < 0) {
      throw new RangeError(`${value} is no uint32`);
    }
    this.#reserve(10);
    this.#uint(tag);
    this.#uint(value);
  }

  /** @throws RangeError for what is no int64. */
  int64(tag: number, value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) throw new RangeError(`${value} is no int64`);
    this.#reserve(16);
    this.#uint(tag);
    this.#varint64(value);
  }

  /** @throws RangeError for what is no uint64. */
  uint64(tag: number, value: bigint): void {
    if (BigInt.asUintN(64, value) !== value) throw new RangeError(`${value} is no uint64`);
    this.#reserve(16);
    this.#uint(tag);
    this.#varint64(value);
  }

  double(tag: number, value: number): void {
    this.#reserve(13);
    this.#uint(tag);
    this.#view.setFloat64(this.#pos, value, true);
    this.#pos += 8;
  }

  #int32(value: number): void {
    if (value >= 0) this.#uint(value);
    else this.#varint64(BigInt(value));
  }

  #varint64(value: bigint): void {
    if (value >= 0n && value <= 0x1f_ffff_ffff_ffffn) return this.#uint(Number(value));
    for (let rest = BigInt.asUintN(64, value);; rest >>= 7n) {
      const low = Number(rest & 0x7fn);
      if (rest < 0x80n) return void (this.#buffer[this.#pos++] = low);
      this.#buffer[this.#pos++] = low | 0x80;
    }
  }

  /** Any safe integer from 0. The room for it is there. */
  #uint(value: number): void {
    const buffer = this.#buffer;
    let pos = this.#pos;
    let rest = value;
    while (rest > 0x7fff_ffff) {
      buffer[pos++] = rest % 128 | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      buffer[pos++] = rest & 0x7f | 0x80;
      rest >>>= 7;
    }
    buffer[pos++] = rest;
    this.#pos = pos;
  }

  #encode(text: string): void {
    const { encodeUtf8Into } = getTextEncoding();
    this.#reserve(text.length * 3 + 5);
    const start = this.#pos++;
    const { written } = encodeUtf8Into(text, this.#buffer.subarray(this.#pos));
    this.#pos += written;
    this.end(start);
  }

  #reserve(more: number): void {
    const needed = this.#pos + more;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#pos));
    this.#buffer = grown;
    this.#view = new DataView(grown.buffer);
  }
}

function checkInt32(value: number): void {
  if (value !== (value | 0)) throw new RangeError(`${value} is no int32`);
}

function lengthOfUint(value: number): number {
  let length = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) length++;
  return length;
}
