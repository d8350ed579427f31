import { CodedError } from "../core/errors.ts";
import type { KvKey, KvListOptions, KvOperation } from "./store.ts";

/** What a store takes; the same for each adapter. */
export const KV_LIMITS = {
  /** Bytes of one value. */
  valueBytes: 64 * 1024 * 1024,
  /** Encoded bytes of one key. Deno KV takes 2,048, of which the adapter adds some. */
  keyBytes: 1024,
  /** Encoded bytes of the keys of one commit. Deno KV takes 81,920, of which the adapter adds some. */
  keyBytesPerCommit: 64 * 1024,
  /** Sets and deletes of one commit. Deno KV takes 1,000; this many also keep their heads and journal in bounds. */
  changesPerCommit: 500,
  /** Checks of one commit; the limit of Deno KV. */
  checksPerCommit: 100,
} as const;

const STRING_TAG = "\x02";
const NUMBER_TAG = "\x21";

/**
 * `key` as a string of bytes (one per character) whose plain order is the order of keys and in which a key starts with
 * the encoding of each of its prefixes. Throws `TypeError` for parts that have no place in the order.
 */
export function encodeKey(key: KvKey): string {
  return key.map((part) => typeof part === "number" ? encodeNumber(part) : encodeString(part)).join("");
}

function encodeString(part: string): string {
  if (typeof part !== "string" || !part.isWellFormed()) {
    throw new TypeError("Key parts are well-formed strings or numbers");
  }
  if (part.length > KV_LIMITS.keyBytes) throw keyTooLong();
  const bytes = String.fromCharCode(...new TextEncoder().encode(part));
  // The end must sort before any byte and occur nowhere else: 00 and 01 make way for it.
  const escaped = bytes.replaceAll("\x01", "\x01\x02").replaceAll("\0", "\x01\x01");
  return `${STRING_TAG}${escaped}\0`;
}

/** Big-endian IEEE 754 with the sign bit flipped, or all bits for negative numbers, which makes the bytes sort as numbers. */
function encodeNumber(part: number): string {
  if (!Number.isFinite(part) || Object.is(part, -0)) {
    throw new TypeError(`Key parts are finite numbers and not -0, got ${part}`);
  }
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, part);
  const bytes = new Uint8Array(view.buffer);
  const flip = part < 0 ? bytes.map((byte) => byte ^ 0xff) : bytes.with(0, (bytes[0] ?? 0) ^ 0x80);
  return NUMBER_TAG + String.fromCharCode(...flip);
}

function keyTooLong(): CodedError {
  return new CodedError(
    "invalid_argument",
    `Cannot use a key: it takes more than ${KV_LIMITS.keyBytes} bytes`,
  );
}

/** The encoding of a key that can be stored. Throws `TypeError` for an empty one, `invalid_argument` for a long one. */
export function checkKey(key: KvKey): string {
  if (key.length === 0) throw new TypeError("A key has at least one part");
  const encoded = encodeKey(key);
  if (encoded.length > KV_LIMITS.keyBytes) throw keyTooLong();
  return encoded;
}

/** Throws `RangeError` for a limit that is no positive integer, `TypeError` for an `after` outside of the prefix. */
export function checkListOptions(prefix: KvKey, options: KvListOptions): void {
  const { limit, after } = options;
  if (limit !== undefined && (!Number.isInteger(limit) || limit < 1)) {
    throw new RangeError(`A listing's limit is a positive integer, got ${limit}`);
  }
  const below = prefix.length === 0 ? "" : checkKey(prefix);
  if (after === undefined) return;
  const start = checkKey(after);
  if (start === below || !start.startsWith(below)) {
    throw new TypeError("A listing's `after` is below its prefix");
  }
}

/** Encoded keys of the changes of a commit that keeps to {@link KV_LIMITS}, in the order of its operations. */
export function checkOperations(operations: readonly KvOperation[]): string[] {
  const changed = new Set<string>();
  let checks = 0;
  let keyBytes = 0;
  for (const operation of operations) {
    const encoded = checkKey(operation.key);
    keyBytes += encoded.length;
    if (operation.op === "check") {
      checks++;
      continue;
    }
    if (changed.has(encoded)) throw new TypeError("A commit changes a key at most once");
    changed.add(encoded);
    if (operation.op === "set") checkLimit("bytes in a value", operation.value.length, KV_LIMITS.valueBytes);
  }
  checkLimit("checks", checks, KV_LIMITS.checksPerCommit);
  checkLimit("changes", changed.size, KV_LIMITS.changesPerCommit);
  checkLimit("bytes of keys", keyBytes, KV_LIMITS.keyBytesPerCommit);
  return [...changed];
}

function checkLimit(what: string, found: number, most: number): void {
  if (found <= most) return;
  throw new CodedError(
    "resource_exhausted",
    `Cannot store: ${found} ${what}, a commit takes at most ${most}`,
  );
}
