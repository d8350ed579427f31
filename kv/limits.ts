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
  let encoded = "";
  for (const part of key) encoded += typeof part === "number" ? encodeNumber(part) : encodeString(part);
  return encoded;
}

// ASCII without 00 and 01, which most parts are, is its own encoding.
// deno-lint-ignore no-control-regex -- those are what it is about
const PLAIN = /^[\x02-\x7f]*$/;

function encodeString(part: string): string {
  if (typeof part === "string" && part.length <= KV_LIMITS.keyBytes && PLAIN.test(part)) {
    return `${STRING_TAG}${part}\0`;
  }
  if (typeof part !== "string" || !part.isWellFormed()) {
    throw new TypeError("Key parts are well-formed strings or numbers");
  }
  if (part.length > KV_LIMITS.keyBytes) throw keyTooLong();
  const bytes = String.fromCharCode(...new TextEncoder().encode(part));
  // The end must sort before any byte and occur nowhere else: 00 and 01 make way for it.
  const escaped = bytes.replaceAll("\x01", "\x01\x02").replaceAll("\0", "\x01\x01");
  return `${STRING_TAG}${escaped}\0`;
}

const NUMBER_BYTES = new Uint8Array(8);
const NUMBER_VIEW = new DataView(NUMBER_BYTES.buffer);

/** Big-endian IEEE 754 with the sign bit flipped, or all bits for negative numbers, which makes the bytes sort as numbers. */
function encodeNumber(part: number): string {
  if (!Number.isFinite(part) || Object.is(part, -0)) {
    throw new TypeError(`Key parts are finite numbers and not -0, got ${part}`);
  }
  NUMBER_VIEW.setFloat64(0, part);
  const flip = part < 0 ? 0xff : 0;
  let encoded = NUMBER_TAG;
  for (let i = 0; i < NUMBER_BYTES.length; i++) {
    encoded += String.fromCharCode((NUMBER_BYTES[i] ?? 0) ^ (i === 0 && flip === 0 ? 0x80 : flip));
  }
  return encoded;
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

/** What a commit that keeps to {@link KV_LIMITS} comes to. */
export interface CommitSize {
  /** Encoded keys, one for each operation in their order. */
  readonly keys: readonly string[];
  /** Bytes of all of `keys`. */
  readonly keyBytes: number;
  /** Bytes of all values. */
  readonly valueBytes: number;
  readonly checks: number;
}

/** Throws `TypeError` for a key changed twice, `invalid_argument` or `resource_exhausted` beyond {@link KV_LIMITS}. */
export function checkOperations(operations: readonly KvOperation[]): CommitSize {
  const changed = new Set<string>();
  const keys: string[] = [];
  let keyBytes = 0;
  let valueBytes = 0;
  for (const operation of operations) {
    const encoded = checkKey(operation.key);
    keys.push(encoded);
    keyBytes += encoded.length;
    if (operation.op === "check") continue;
    if (changed.has(encoded)) throw new TypeError("A commit changes a key at most once");
    changed.add(encoded);
    if (operation.op === "delete") continue;
    checkLimit("bytes in a value", operation.value.length, KV_LIMITS.valueBytes);
    valueBytes += operation.value.length;
  }
  const checks = keys.length - changed.size;
  checkLimit("checks", checks, KV_LIMITS.checksPerCommit);
  checkLimit("changes", changed.size, KV_LIMITS.changesPerCommit);
  checkLimit("bytes of keys", keyBytes, KV_LIMITS.keyBytesPerCommit);
  return { keys, keyBytes, valueBytes, checks };
}

function checkLimit(what: string, found: number, most: number): void {
  if (found <= most) return;
  throw new CodedError(
    "resource_exhausted",
    `Cannot store: ${found} ${what}, a commit takes at most ${most}`,
  );
}
