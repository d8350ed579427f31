import { ChaCha20Poly1305, newInstance } from "@chainsafe/as-chacha20poly1305";
import { createCipheriv, createDecipheriv } from "node:crypto";
import { ByteReader, putNumber } from "./byte_reader.ts";

/** What a record carries (RFC 5246, RFC 6347). */
export const CONTENT = { changeCipherSpec: 20, alert: 21, handshake: 22, data: 23 } as const;
/** DTLS 1.2, as it stands in records and hellos. */
export const DTLS_1_2 = 0xfefd;
/** First hellos may say 1.0 in their records. */
const DTLS_1_0 = 0xfeff;

const HEADER_BYTES = 13;
/** In front of what AES seals: the part of its nonce that changes. */
const EXPLICIT_BYTES = 8;
const TAG_BYTES = 16;
const MAX_BODY_BYTES = 16 * 1024 + EXPLICIT_BYTES + TAG_BYTES;
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
    if (!isOurs || length > reader.left || length > MAX_BODY_BYTES) break;
    records.push({ type, epoch, sequence, body: reader.take(length) });
  }
  return records;
}

/** A record that is not sealed. */
export function plainRecord(type: number, sequence: number, body: Uint8Array): Uint8Array {
  const record = new Uint8Array(HEADER_BYTES + body.length);
  putHeader(record, { type, epoch: 0, sequence, length: body.length });
  record.set(body, HEADER_BYTES);
  return record;
}

/** One direction of a sealed connection. */
export interface RecordKey {
  /** The whole record. A `sequence` is good for one record. */
  seal(type: number, sequence: number, plain: Uint8Array): Uint8Array;
  /** What `record` carries; undefined when it was not sealed with this key. */
  open(record: DtlsRecord): Uint8Array | undefined;
}

/** AES-128 in Galois/counter mode (RFC 5288), which all peers have. `salt` has 4 bytes. */
export class AesGcmKey implements RecordKey {
  readonly #key: Uint8Array;
  readonly #nonce = new Uint8Array(12);
  readonly #additional = new Uint8Array(HEADER_BYTES);

  constructor(key: Uint8Array, salt: Uint8Array) {
    this.#key = key;
    this.#nonce.set(salt);
  }

  seal(type: number, sequence: number, plain: Uint8Array): Uint8Array {
    const record = new Uint8Array(HEADER_BYTES + EXPLICIT_BYTES + plain.length + TAG_BYTES);
    putHeader(record, { type, epoch: 1, sequence, length: record.length - HEADER_BYTES });
    putAdditional(this.#additional, { type, epoch: 1, sequence, length: plain.length });
    // Epoch and sequence make the nonce.
    const explicit = this.#additional.subarray(0, EXPLICIT_BYTES);
    record.set(explicit, HEADER_BYTES);
    this.#nonce.set(explicit, 4);
    const cipher = createCipheriv("aes-128-gcm", this.#key, this.#nonce);
    cipher.setAAD(this.#additional);
    record.set(cipher.update(plain), HEADER_BYTES + EXPLICIT_BYTES);
    cipher.final();
    record.set(cipher.getAuthTag(), record.length - TAG_BYTES);
    return record;
  }

  open({ type, epoch, sequence, body }: DtlsRecord): Uint8Array | undefined {
    const length = body.length - EXPLICIT_BYTES - TAG_BYTES;
    if (length < 0) return undefined;
    this.#nonce.set(body.subarray(0, EXPLICIT_BYTES), 4);
    putAdditional(this.#additional, { type, epoch, sequence, length });
    const cipher = createDecipheriv("aes-128-gcm", this.#key, this.#nonce);
    cipher.setAAD(this.#additional);
    cipher.setAuthTag(body.subarray(EXPLICIT_BYTES + length));
    const plain = cipher.update(body.subarray(EXPLICIT_BYTES, EXPLICIT_BYTES + length));
    try {
      cipher.final();
    } catch {
      return undefined; // Forged, or damaged on the way.
    }
    return new Uint8Array(plain.buffer, plain.byteOffset, plain.byteLength);
  }
}

/** Made once; it keeps nothing between two calls. */
let chaCha: ChaCha20Poly1305 | undefined;

/** ChaCha20 and Poly1305 (RFC 7905), which cost half of what AES does here. `key` has 32 bytes, `iv` 12. */
export class ChaChaKey implements RecordKey {
  readonly #cipher = chaCha ??= new ChaCha20Poly1305(newInstance());
  readonly #key: Uint8Array;
  readonly #iv: Uint8Array;
  readonly #nonce = new Uint8Array(12);
  readonly #additional = new Uint8Array(HEADER_BYTES);

  constructor(key: Uint8Array, iv: Uint8Array) {
    this.#key = key;
    this.#iv = iv;
  }

  seal(type: number, sequence: number, plain: Uint8Array): Uint8Array {
    const record = new Uint8Array(HEADER_BYTES + plain.length + TAG_BYTES);
    putHeader(record, { type, epoch: 1, sequence, length: plain.length + TAG_BYTES });
    this.#prepare({ type, epoch: 1, sequence, length: plain.length });
    record.set(this.#cipher.seal(this.#key, this.#nonce, plain, this.#additional), HEADER_BYTES);
    return record;
  }

  open({ type, epoch, sequence, body }: DtlsRecord): Uint8Array | undefined {
    if (body.length < TAG_BYTES) return undefined;
    this.#prepare({ type, epoch, sequence, length: body.length - TAG_BYTES });
    return this.#cipher.open(this.#key, this.#nonce, body, this.#additional) ?? undefined;
  }

  #prepare(fields: HeaderFields): void {
    putAdditional(this.#additional, fields);
    // Epoch and sequence change the last 8 bytes.
    for (let i = 0; i < 4; i++) this.#nonce[i] = this.#iv[i] as number;
    for (let i = 4; i < 12; i++) {
      this.#nonce[i] = (this.#iv[i] as number) ^ (this.#additional[i - 4] as number);
    }
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

interface HeaderFields {
  type: number;
  epoch: number;
  sequence: number;
  length: number;
}

function putHeader(record: Uint8Array, { type, epoch, sequence, length }: HeaderFields): void {
  record[0] = type;
  putNumber(record, 1, DTLS_1_2, 2);
  putNumber(record, 3, epoch, 2);
  putNumber(record, 5, sequence, 6);
  putNumber(record, 11, length, 2);
}

/** What is vouched for beside the content: the header in another order (RFC 5246, 6.2.3.3). */
function putAdditional(bytes: Uint8Array, { type, epoch, sequence, length }: HeaderFields): void {
  putNumber(bytes, 0, epoch, 2);
  putNumber(bytes, 2, sequence, 6);
  bytes[8] = type;
  putNumber(bytes, 9, DTLS_1_2, 2);
  putNumber(bytes, 11, length, 2);
}
