import { Buffer } from "node:buffer";
import { CodedError } from "../../core/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../core/json.ts";

/** Fewest entries of a list, so that an index tells nothing about who it belongs to (Bitstring Status List, section 2.2). */
export const MIN_STATUS_ENTRIES = 131_072;
/** Most bytes of a list that is read, unpacked: 16 Mi entries. */
const MAX_LIST_BYTES = 2 * 1024 * 1024;

/** Where the status of a credential is told. https://www.w3.org/TR/vc-bitstring-status-list/ */
export interface StatusEntry {
  readonly purpose: "revocation" | "suspension";
  readonly index: number;
  /** URL of the credential with the list. */
  readonly listUrl: string;
}

/** `entry` as a `credentialStatus`. */
export function toCredentialStatus({ purpose, index, listUrl }: StatusEntry): JsonObject {
  return {
    id: `${listUrl}#${index}`,
    type: "BitstringStatusListEntry",
    statusPurpose: purpose,
    statusListIndex: String(index),
    statusListCredential: listUrl,
  };
}

/**
 * The entries in the `credentialStatus` of a credential, which may be one or several; undefined when one cannot be read, so
 * that the credential cannot be judged. Purposes that only carry a message are left out.
 */
export function parseCredentialStatus(value: JsonValue | undefined): StatusEntry[] | undefined {
  if (value === undefined) return [];
  const list = (Array.isArray(value) ? value : [value]) as readonly JsonValue[];
  if (list.length > 8) return undefined;
  const entries: StatusEntry[] = [];
  for (const one of list) {
    if (!isJsonObject(one) || one.type !== "BitstringStatusListEntry") return undefined;
    const { statusPurpose, statusListIndex, statusListCredential } = one;
    if (statusPurpose === "message" || statusPurpose === "refresh") continue;
    const isIndex = typeof statusListIndex === "string" && /^(0|[1-9]\d{0,8})$/.test(statusListIndex);
    if (!isIndex || typeof statusListCredential !== "string") return undefined;
    if (statusPurpose !== "revocation" && statusPurpose !== "suspension") return undefined;
    entries.push({ purpose: statusPurpose, index: Number(statusListIndex), listUrl: statusListCredential });
  }
  return entries;
}

/** Bits by index, packed for a `BitstringStatusList`: gzip, then base64url behind a `u`. */
export async function encodeStatusList(bits: Uint8Array): Promise<string> {
  const packed = await drain(
    new Blob([Uint8Array.from(bits)]).stream().pipeThrough(new CompressionStream("gzip")),
  );
  return `u${Buffer.from(packed).toString("base64url")}`;
}

/** The bits of an encoded list. @throws CodedError `invalid_argument` when it is none, or too short or too long. */
export async function decodeStatusList(encoded: string): Promise<Uint8Array> {
  const packed = /^u[A-Za-z0-9_-]+$/.test(encoded) ? Buffer.from(encoded.slice(1), "base64url") : undefined;
  if (packed === undefined) throw notAList("it is no base64url behind a u");
  let bits: Uint8Array;
  try {
    bits = await drain(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip")));
  } catch (cause) {
    if (cause instanceof CodedError) throw cause;
    throw notAList("it cannot be unpacked", cause);
  }
  if (bits.length * 8 < MIN_STATUS_ENTRIES) throw notAList(`it has fewer than ${MIN_STATUS_ENTRIES} entries`);
  return bits;
}

/** Whether the bit of an entry is set; the first bit is the highest of the first byte. Undefined beyond the end. */
export function statusAt(bits: Uint8Array, index: number): boolean | undefined {
  const byte = bits[index >> 3];
  return byte === undefined ? undefined : (byte & (0x80 >> (index & 7))) !== 0;
}

/** Sets the bit of an entry. `RangeError` beyond the end. */
export function setStatus(bits: Uint8Array, index: number): void {
  const byte = bits[index >> 3];
  if (byte === undefined) throw new RangeError(`The status list has ${bits.length * 8} entries, no ${index}`);
  bits[index >> 3] = byte | (0x80 >> (index & 7));
}

/** All bytes of a stream, within {@link MAX_LIST_BYTES}: a small list may unpack to gigabytes. */
async function drain(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.length;
    if (length > MAX_LIST_BYTES) throw notAList(`it has more than ${MAX_LIST_BYTES * 8} entries`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function notAList(reason: string, cause?: unknown): CodedError {
  return new CodedError("invalid_argument", `Cannot read the status list: ${reason}`, { cause });
}
