import { createCipheriv, createDecipheriv } from "node:crypto";
import { concat } from "../concat.ts";
import { ByteReader, u16, u48 } from "./byte_reader.ts";

/** What a record carries (RFC 5246, RFC 6347). */
export const CONTENT = { changeCipherSpec: 20, alert: 21, handshake: 22, data: 23 } as const;
/** DTLS 1.2, as it stands in records and hellos. */
export const DTLS_1_2 = 0xfefd;
/** First hellos may say 1.0 in their records. */
const DTLS_1_0 = 0xfeff;

const HEADER_BYTES = 13;
const NONCE_BYTES = 8;
const TAG_BYTES = 16;
const MAX_PLAIN_BYTES = 16 * 1024;
/** Bytes that sealing adds. */
export const SEAL_BYTES = HEADER_BYTES + NONCE_BYTES + TAG_BYTES;
/** Records that may overtake each other. */
const REPLAY_WINDOW = 1024;

/** A piece of a datagram. */
export interface DtlsRecord {
  type: number;
  epoch: number;
  sequence: number;
  body: Uint8Array;
}

/** Whether `datagram` is for DTLS and for nothing else (RFC 7983). */
export function isDtls(datagram: Uint8Array): boolean {
  const first = datagram[0] ?? 0;
  return first > 19 && first < 64;
}

/** The records in `datagram` up to the first that is none. */
export function readRecords(datagram: Uint8Array): DtlsRecord[] {
  const reader = new ByteReader(datagram);
  const records: DtlsRecord[] = [];
  while (reader.left >= HEADER_BYTES) {
    const type = reader.u8();
    const version = reader.u16();
    const [epoch, sequence, length] = [reader.u16(), reader.u48(), reader.u16()];
    const isOurs = version === DTLS_1_2 || version === DTLS_1_0;
    if (!isOurs || length > reader.left || length > MAX_PLAIN_BYTES + SEAL_BYTES) break;
    records.push({ type, epoch, sequence, body: reader.take(length) });
  }
  return records;
}

/** A record that is not sealed. */
export function plainRecord(type: number, sequence: number, body: Uint8Array): Uint8Array {
  return concat([header(type, 0, sequence, body.length), body]);
}

/** One direction of a sealed connection: AES-128 in Galois/counter mode (RFC 5288). */
export class RecordKey {
  readonly #key: Uint8Array;
  readonly #nonce = new Uint8Array(12);

  /** `salt` has 4 bytes. */
  constructor(key: Uint8Array, salt: Uint8Array) {
    this.#key = key;
    this.#nonce.set(salt);
  }

  /** The whole record. A `sequence` is good for one record. */
  seal(type: number, sequence: number, plain: Uint8Array): Uint8Array {
    const record = new Uint8Array(SEAL_BYTES + plain.length);
    record.set(header(type, 1, sequence, record.length - HEADER_BYTES));
    // Epoch and sequence make the nonce, which stands behind the header too.
    const explicit = record.subarray(3, 3 + NONCE_BYTES);
    record.set(explicit, HEADER_BYTES);
    this.#nonce.set(explicit, 4);
    const cipher = createCipheriv("aes-128-gcm", this.#key, this.#nonce);
    cipher.setAAD(additional(explicit, type, plain.length));
    record.set(cipher.update(plain), HEADER_BYTES + NONCE_BYTES);
    cipher.final();
    record.set(cipher.getAuthTag(), record.length - TAG_BYTES);
    return record;
  }

  /** What `record` carries; undefined when it was not sealed with this key. */
  open({ type, epoch, sequence, body }: DtlsRecord): Uint8Array | undefined {
    const length = body.length - NONCE_BYTES - TAG_BYTES;
    if (length < 0) return undefined;
    this.#nonce.set(body.subarray(0, NONCE_BYTES), 4);
    const cipher = createDecipheriv("aes-128-gcm", this.#key, this.#nonce);
    cipher.setAAD(additional(concat([u16(epoch), u48(sequence)]), type, length));
    cipher.setAuthTag(body.subarray(NONCE_BYTES + length));
    const plain = cipher.update(body.subarray(NONCE_BYTES, NONCE_BYTES + length));
    try {
      cipher.final();
    } catch {
      return undefined; // Forged, or damaged on the way.
    }
    return new Uint8Array(plain.buffer, plain.byteOffset, plain.byteLength);
  }
}

/** Which sequence numbers have been seen, so that nothing is taken twice. */
export class ReplayWindow {
  readonly #seen = new Float64Array(REPLAY_WINDOW).fill(-1);
  #highest = -1;

  /** Whether a record of this number may still be new. */
  allows(sequence: number): boolean {
    return sequence > this.#highest - REPLAY_WINDOW && this.#seen[sequence % REPLAY_WINDOW] !== sequence;
  }

  /** To be called once the record has proved to be genuine. */
  note(sequence: number): void {
    this.#seen[sequence % REPLAY_WINDOW] = sequence;
    this.#highest = Math.max(this.#highest, sequence);
  }
}

function header(type: number, epoch: number, sequence: number, length: number): Uint8Array {
  return concat([Uint8Array.of(type), u16(DTLS_1_2), u16(epoch), u48(sequence), u16(length)]);
}

function additional(epochAndSequence: Uint8Array, type: number, length: number): Uint8Array {
  return concat([epochAndSequence, Uint8Array.of(type), u16(DTLS_1_2), u16(length)]);
}
