import ipaddr from "ipaddr.js";
import { createHmac, timingSafeEqual } from "node:crypto";
import { crc32 } from "node:zlib";
import { concat } from "../concat.ts";
import { ascii } from "../der.ts";
import { ByteReader, u16, u32 } from "./byte_reader.ts";

/** Every user name begins with it (libp2p's WebRTC-direct specification); its first version. */
export const UFRAG_PREFIX = "libp2p+webrtc+v1/";
const UFRAG_RANDOM_BYTES = 24;
/** Longer ones are of nobody who speaks this. */
const MAX_STUN_BYTES = 548;
const MAX_USERNAME_BYTES = 513;

const HEADER_BYTES = 20;
const MAGIC_COOKIE = 0x2112a442;
const TRANSACTION_BYTES = 12;
const KINDS = { request: 0x0001, success: 0x0101 } as const;

/** Attributes (RFC 8489, RFC 8445). */
const USERNAME = 0x0006;
const MESSAGE_INTEGRITY = 0x0008;
const XOR_MAPPED_ADDRESS = 0x0020;
const PRIORITY = 0x0024;
const USE_CANDIDATE = 0x0025;
const FINGERPRINT = 0x8028;
const ICE_CONTROLLING = 0x802a;
const INTEGRITY_BYTES = 20;
const FINGERPRINT_XOR = 0x5354554e;
/** Of a host candidate, the only kind there is. */
const HOST_PRIORITY = 0x7e0000ff;

/** A message of STUN that asks whether somebody is there, or says so. */
export interface BindingMessage {
  kind: "request" | "success";
  transaction: Uint8Array;
  /** The part of the user name in front of the colon: whom the asker means. */
  ufrag: string | undefined;
  /** Whether who sent it knows `password`. */
  isProvenBy(password: string): boolean;
}

/** Where a datagram came from. */
export interface UdpAddress {
  hostname: string;
  port: number;
}

/** A new user name, which is its own password. */
export function createUfrag(): string {
  const random = crypto.getRandomValues(new Uint8Array(UFRAG_RANDOM_BYTES));
  return UFRAG_PREFIX + random.toHex();
}

/** Whether `datagram` is for STUN and for nothing else (RFC 7983). */
export function isStun(datagram: Uint8Array): boolean {
  return datagram.length >= HEADER_BYTES && (datagram[0] ?? 0xff) < 4;
}

/** The message in `datagram`; undefined when it is not one that we answer. */
export function parseStun(datagram: Uint8Array): BindingMessage | undefined {
  if (datagram.length > MAX_STUN_BYTES) return undefined;
  try {
    return parse(datagram);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function parse(datagram: Uint8Array): BindingMessage | undefined {
  const reader = new ByteReader(datagram);
  const type = reader.u16();
  const kind = type === KINDS.request ? "request" : type === KINDS.success ? "success" : undefined;
  const length = reader.u16();
  if (kind === undefined || length !== datagram.length - HEADER_BYTES || reader.u32() !== MAGIC_COOKIE) {
    return undefined;
  }
  const transaction = reader.take(TRANSACTION_BYTES);
  let ufrag: string | undefined;
  let integrity: { offset: number; mac: Uint8Array } | undefined;
  while (reader.left > 0) {
    const offset = datagram.length - reader.left;
    const attribute = reader.u16();
    const size = reader.u16();
    const value = reader.take(size);
    reader.take((4 - size % 4) % 4);
    // What stands behind the proof is not proven.
    if (integrity !== undefined) continue;
    if (attribute === USERNAME && size <= MAX_USERNAME_BYTES) {
      ufrag = new TextDecoder().decode(value).split(":")[0];
    } else if (attribute === MESSAGE_INTEGRITY && size === INTEGRITY_BYTES) {
      integrity = { offset, mac: value };
    }
  }
  return {
    kind,
    transaction,
    ufrag,
    isProvenBy: (password) =>
      integrity !== undefined &&
      timingSafeEqual(integrityOf(datagram.subarray(0, integrity.offset), password), integrity.mac),
  };
}

/** Asks whether the peer whose user name is `ufrag` is there; the dialer decides on the way, which is the only one. */
export function encodeRequest(transaction: Uint8Array, ufrag: string): Uint8Array {
  return seal(KINDS.request, transaction, ufrag, [
    attribute(USERNAME, ascii(`${ufrag}:${ufrag}`)),
    attribute(ICE_CONTROLLING, crypto.getRandomValues(new Uint8Array(8))),
    attribute(USE_CANDIDATE, new Uint8Array()),
    attribute(PRIORITY, u32(HOST_PRIORITY)),
  ]);
}

/** Says to `from` that it was heard, and how its address looks from here. */
export function encodeResponse(transaction: Uint8Array, password: string, from: UdpAddress): Uint8Array {
  const host = Uint8Array.from(ipaddr.parse(from.hostname).toByteArray());
  const mask = concat([u32(MAGIC_COOKIE), transaction]);
  const mapped = concat([
    Uint8Array.of(0, host.length === 4 ? 1 : 2),
    u16(from.port ^ MAGIC_COOKIE >>> 16),
    host.map((byte, i) => byte ^ (mask[i] ?? 0)),
  ]);
  return seal(KINDS.success, transaction, password, [attribute(XOR_MAPPED_ADDRESS, mapped)]);
}

function seal(
  type: number,
  transaction: Uint8Array,
  password: string,
  attributes: readonly Uint8Array[],
): Uint8Array {
  const open = concat([u16(type), u16(0), u32(MAGIC_COOKIE), transaction, ...attributes]);
  const proven = concat([open, attribute(MESSAGE_INTEGRITY, integrityOf(open, password))]);
  const counted = withLength(proven, proven.length + 8);
  const sum = (crc32(counted) ^ FINGERPRINT_XOR) >>> 0;
  return concat([counted, attribute(FINGERPRINT, u32(sum))]);
}

function integrityOf(open: Uint8Array, password: string): Uint8Array {
  const counted = withLength(open, open.length + 4 + INTEGRITY_BYTES);
  return new Uint8Array(createHmac("sha1", password).update(counted).digest());
}

/** A copy of `message` whose header says that the whole has `total` bytes. */
function withLength(message: Uint8Array, total: number): Uint8Array {
  const copy = message.slice();
  copy.set(u16(total - HEADER_BYTES), 2);
  return copy;
}

function attribute(type: number, value: Uint8Array): Uint8Array {
  return concat([u16(type), u16(value.length), value, new Uint8Array((4 - value.length % 4) % 4)]);
}
