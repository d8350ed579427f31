/** Takes numbers and pieces out of bytes, in network order. Throws `SyntaxError` where they end too early. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Bytes that are left. */
  get left(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number {
    return this.#number(1);
  }

  u16(): number {
    return this.#number(2);
  }

  u24(): number {
    return this.#number(3);
  }

  u32(): number {
    return this.#number(4);
  }

  u48(): number {
    return this.#number(2) * 2 ** 32 + this.#number(4);
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

  #number(length: number): number {
    let value = 0;
    const offset = this.#advance(length);
    for (let i = offset; i < offset + length; i++) value = value << 8 | (this.#bytes[i] as number);
    return value >>> 0;
  }

  #advance(length: number): number {
    const offset = this.#offset;
    if (length > this.left) throw new SyntaxError(`${length} bytes expected, ${this.left} are there`);
    this.#offset += length;
    return offset;
  }
}

/** Writes the lowest `length` bytes of `value` into `bytes`. */
export function putNumber(bytes: Uint8Array, offset: number, value: number, length: number): void {
  let rest = value;
  for (let i = offset + length - 1; i >= offset; i--) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
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
