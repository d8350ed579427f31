/** Castagnoli's polynomial, its bits in reverse order (RFC 9260, appendix A). */
const POLYNOMIAL = 0x82f63b78;
/** For four bytes at a time: one table of 256 for each. */
const TABLES = createTables();

/** The checksum of SCTP over `bytes`, as if the four bytes at `blank` were zero. */
export function crc32c(bytes: Uint8Array, blank: number): number {
  let crc = 0xffffffff;
  crc = update(crc, bytes, 0, blank);
  crc = update(crc, ZEROS, 0, ZEROS.length);
  crc = update(crc, bytes, blank + ZEROS.length, bytes.length);
  return (crc ^ 0xffffffff) >>> 0;
}

const ZEROS = new Uint8Array(4);

function update(start: number, bytes: Uint8Array, from: number, to: number): number {
  const [t0, t1, t2, t3] = TABLES;
  let crc = start;
  let i = from;
  for (; i + 4 <= to; i += 4) {
    crc ^= at(bytes, i) | at(bytes, i + 1) << 8 | at(bytes, i + 2) << 16 | at(bytes, i + 3) << 24;
    crc = at(t3, crc & 0xff) ^ at(t2, crc >>> 8 & 0xff) ^ at(t1, crc >>> 16 & 0xff) ^ at(t0, crc >>> 24);
  }
  for (; i < to; i++) crc = crc >>> 8 ^ at(t0, (crc ^ at(bytes, i)) & 0xff);
  return crc;
}

function at(values: Uint8Array | Int32Array, index: number): number {
  return values[index] as number;
}

function createTables(): [Int32Array, Int32Array, Int32Array, Int32Array] {
  const tables = Array.from({ length: 4 }, () => new Int32Array(256)) as ReturnType<typeof createTables>;
  const [first] = tables;
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >>> 1 ^ POLYNOMIAL : crc >>> 1;
    first[byte] = crc;
  }
  for (let byte = 0; byte < 256; byte++) {
    let crc = at(first, byte);
    for (const table of tables.slice(1)) {
      crc = crc >>> 8 ^ at(first, crc & 0xff);
      table[byte] = crc;
    }
  }
  return tables;
}
