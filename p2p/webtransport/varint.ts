/** A number as QUIC and HTTP/3 write it (RFC 9000, 16): its two top bits say whether it takes 1, 2, 4 or 8 bytes. */
export function encodeVarint(value: number): Uint8Array {
  if (value < 0x40) return Uint8Array.of(value);
  if (value < 0x4000) return Uint8Array.of(0x40 | value >> 8, value & 0xff);
  const bytes = new Uint8Array(value < 0x40000000 ? 4 : 8);
  const view = new DataView(bytes.buffer);
  if (bytes.length === 4) view.setUint32(0, value + 0x80000000);
  else view.setBigUint64(0, BigInt(value) + 0xc000000000000000n);
  return bytes;
}

/** Bytes that the number beginning with `first` takes. */
export function varintLength(first: number): 1 | 2 | 4 | 8 {
  return ([1, 2, 4, 8] as const)[first >> 6 & 3] ?? 1;
}

/** The number in `bytes`, which hold all of it. Beyond 2^53 it is not exact. */
export function decodeVarint(bytes: Uint8Array): number {
  const [first = 0, ...rest] = bytes.subarray(0, varintLength(bytes[0] ?? 0));
  return rest.reduce((value, byte) => value * 256 + byte, first & 0x3f);
}
