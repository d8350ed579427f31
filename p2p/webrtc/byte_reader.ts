/** Takes numbers and pieces out of bytes, in network order. Throws `SyntaxError` where they end too early. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes that are left. */
  get left(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2));
  }

  u24(): number {
    const offset = this.#advance(3);
    return this.#view.getUint8(offset) << 16 | this.#view.getUint16(offset + 1);
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  u48(): number {
    const offset = this.#advance(6);
    return this.#view.getUint16(offset) * 2 ** 32 + this.#view.getUint32(offset + 2);
  }

  /** The next `length` bytes, not copied. */
  take(length: number): Uint8Array {
    const offset = this.#advance(length);
    return this.#bytes.subarray(offset, offset + length);
  }

  /** All that is left, not copied. */
  rest(): Uint8Array {
    return this.take(this.left);
  }

  #advance(length: number): number {
    const offset = this.#offset;
    if (length > this.left) throw new SyntaxError(`${length} bytes expected, ${this.left} are there`);
    this.#offset += length;
    return offset;
  }
}

/** A number in two bytes. */
export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

/** A number in three bytes. */
export function u24(value: number): Uint8Array {
  return Uint8Array.of(value >> 16, value >> 8 & 0xff, value & 0xff);
}

/** A number in four bytes. */
export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16 & 0xff, value >>> 8 & 0xff, value & 0xff);
}

/** A number below 2^48 in six bytes. */
export function u48(value: number): Uint8Array {
  const bytes = new Uint8Array(6);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, Math.floor(value / 2 ** 32));
  view.setUint32(2, value % 2 ** 32);
  return bytes;
}
