/** Bytes of an entry: a little-endian 32-bit number. */
export const ENTRY_BYTES = 4;
/** Set in every entry: zeros at the end of a file that was being written when the power went are none. */
const WRITTEN_BIT = 0x8000_0000;
const LAST_BIT = 0x4000_0000;
const LENGTH_MASK = 0x3fff_ffff;

/** Where a chunk ends and the next begins. */
export interface IndexEntry {
  readonly length: number;
  readonly isLast: boolean;
}

/** The entries as they lie on disk. */
export function encodeEntries(entries: readonly IndexEntry[]): Uint8Array {
  const bytes = new Uint8Array(entries.length * ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  entries.forEach(({ length, isLast }, at) => {
    if (length > LENGTH_MASK) throw new RangeError(`A chunk of ${length} bytes has no entry`);
    view.setUint32(at * ENTRY_BYTES, (WRITTEN_BIT | (isLast ? LAST_BIT : 0) | length) >>> 0, true);
  });
  return bytes;
}

/** The whole entries at the beginning of `bytes`, up to the first that was not written. */
export function decodeEntries(bytes: Uint8Array): IndexEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: IndexEntry[] = [];
  for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
    const value = view.getUint32(at, true);
    if ((value & WRITTEN_BIT) === 0) break;
    entries.push({ length: value & LENGTH_MASK, isLast: (value & LAST_BIT) !== 0 });
  }
  return entries;
}
