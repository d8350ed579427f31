import { concat } from "../concat.ts";
import { ByteReader, putNumber, u16, u32 } from "./byte_reader.ts";
import { crc32c } from "./crc32c.ts";

/** Chunks (RFC 9260, RFC 6525). */
export const CHUNK = {
  data: 0,
  init: 1,
  initAck: 2,
  sack: 3,
  heartbeat: 4,
  heartbeatAck: 5,
  abort: 6,
  shutdown: 7,
  shutdownAck: 8,
  error: 9,
  cookieEcho: 10,
  cookieAck: 11,
  shutdownComplete: 14,
  reconfig: 130,
} as const;

/** Port of both sides, as WebRTC has it. */
const PORT = 5000;
const HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 4;
const CHECKSUM_OFFSET = 8;
const DATA_HEADER_BYTES = 16;

/** Bytes of a packet, so that it gets through everywhere when it is sealed: 1232 for UDP within IPv6's least. */
export const MAX_PACKET_BYTES = 1_192;
/** Bytes that all chunks of a packet may have. */
export const MAX_CHUNKS_BYTES = MAX_PACKET_BYTES - HEADER_BYTES;
/** Bytes of a message that fit into a packet. */
export const MAX_FRAGMENT_BYTES = MAX_CHUNKS_BYTES - DATA_HEADER_BYTES;

/** A piece of a packet. */
export interface Chunk {
  type: number;
  flags: number;
  body: Uint8Array;
}

/** What travels sealed in a datagram. */
export interface Packet {
  tag: number;
  chunks: Chunk[];
}

/** A fragment of a message. */
export interface DataChunk {
  tsn: number;
  stream: number;
  protocol: number;
  first: boolean;
  last: boolean;
  content: Uint8Array;
}

/** What says which fragments have come. */
export interface Sack {
  /** All up to this one. */
  cumulative: number;
  /** Bytes that the peer has room for. */
  window: number;
  /** Fragments beyond, each from and to, counted from `cumulative`. */
  gaps: readonly (readonly [number, number])[];
}

/** What each side begins with. */
export interface Init {
  tag: number;
  window: number;
  outbound: number;
  inbound: number;
  firstTsn: number;
  /** By their type. */
  params: ReadonlyMap<number, Uint8Array>;
}

const LAST = 1;
const FIRST = 2;

/**
 * Throws `SyntaxError` for what is not a packet, or was damaged. With `isSealed` it may have no checksum, since what seals it
 * would have told (RFC 9653).
 */
export function parsePacket(bytes: Uint8Array, { isSealed = false } = {}): Packet {
  const reader = new ByteReader(bytes);
  reader.u32();
  const tag = reader.u32();
  const sum = reader.u32();
  // The sum stands there with its lowest byte first.
  const isIntact = (sum === 0 && isSealed) || swap(crc32c(bytes, CHECKSUM_OFFSET)) === sum;
  if (!isIntact) throw new SyntaxError("the checksum of a packet is wrong");
  const chunks: Chunk[] = [];
  while (reader.left > 0) {
    const [type, flags, length] = [reader.u8(), reader.u8(), reader.u16()];
    if (length < CHUNK_HEADER_BYTES) throw new SyntaxError("a chunk is shorter than its header");
    chunks.push({ type, flags, body: reader.take(length - CHUNK_HEADER_BYTES) });
    reader.take(Math.min(reader.left, (4 - length % 4) % 4));
  }
  return { tag, chunks };
}

/** A packet of chunks that are encoded, without a checksum when the peer needs none. */
export function encodePacket(
  tag: number,
  chunks: readonly Uint8Array[],
  { hasChecksum = true } = {},
): Uint8Array {
  const packet = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, HEADER_BYTES));
  putNumber(packet, 0, PORT, 2);
  putNumber(packet, 2, PORT, 2);
  putNumber(packet, 4, tag, 4);
  let offset = HEADER_BYTES;
  for (const chunk of chunks) {
    packet.set(chunk, offset);
    offset += chunk.length;
  }
  if (hasChecksum) putNumber(packet, CHECKSUM_OFFSET, swap(crc32c(packet, CHECKSUM_OFFSET)), 4);
  return packet;
}

/** A chunk with its padding. */
export function encodeChunk(type: number, flags: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = CHUNK_HEADER_BYTES + parts.reduce((sum, part) => sum + part.length, 0);
  return concat([
    Uint8Array.of(type, flags),
    u16(length),
    ...parts,
    new Uint8Array((4 - length % 4) % 4),
  ]);
}

/** Bytes of the chunk for a fragment of `length` bytes. */
export function dataChunkBytes(length: number): number {
  return DATA_HEADER_BYTES + length + (4 - length % 4) % 4;
}

/** A fragment in one chunk; `sequence` is the message's number in its stream. */
export function encodeData(chunk: DataChunk, sequence: number): Uint8Array {
  const { tsn, stream, protocol, first, last, content } = chunk;
  const length = DATA_HEADER_BYTES + content.length;
  const bytes = new Uint8Array(dataChunkBytes(content.length));
  bytes[1] = (first ? FIRST : 0) | (last ? LAST : 0);
  putNumber(bytes, 2, length, 2);
  putNumber(bytes, 4, tsn, 4);
  putNumber(bytes, 8, stream, 2);
  putNumber(bytes, 10, sequence, 2);
  putNumber(bytes, 12, protocol, 4);
  bytes.set(content, DATA_HEADER_BYTES);
  return bytes;
}

/** Throws `SyntaxError`. */
export function parseData({ flags, body }: Chunk): DataChunk {
  const reader = new ByteReader(body);
  const tsn = reader.u32();
  const stream = reader.u16();
  reader.u16();
  const protocol = reader.u32();
  if (reader.left === 0) throw new SyntaxError("a fragment is empty");
  return {
    tsn,
    stream,
    protocol,
    first: (flags & FIRST) > 0,
    last: (flags & LAST) > 0,
    content: reader.rest(),
  };
}

/** A chunk that says which fragments have come. */
export function encodeSack({ cumulative, window, gaps }: Sack): Uint8Array {
  const bytes = new Uint8Array(16 + 4 * gaps.length);
  bytes[0] = CHUNK.sack;
  putNumber(bytes, 2, bytes.length, 2);
  putNumber(bytes, 4, cumulative, 4);
  putNumber(bytes, 8, window, 4);
  putNumber(bytes, 12, gaps.length, 2);
  for (const [i, [from, to]] of gaps.entries()) {
    putNumber(bytes, 16 + 4 * i, from, 2);
    putNumber(bytes, 18 + 4 * i, to, 2);
  }
  return bytes;
}

/** Throws `SyntaxError`. */
export function parseSack({ body }: Chunk): Sack {
  const reader = new ByteReader(body);
  const cumulative = reader.u32();
  const window = reader.u32();
  const count = reader.u16();
  reader.u16();
  const gaps = Array.from({ length: count }, () => [reader.u16(), reader.u16()] as const);
  return { cumulative, window, gaps };
}

/** A chunk that begins an association, or answers one that does. */
export function encodeInit(type: number, init: Init): Uint8Array {
  const { tag, window, outbound, inbound, firstTsn, params } = init;
  return encodeChunk(
    type,
    0,
    ...[u32(tag), u32(window), u16(outbound), u16(inbound), u32(firstTsn)],
    encodeParams(params),
  );
}

/** Throws `SyntaxError`. */
export function parseInit({ body }: Chunk): Init {
  const reader = new ByteReader(body);
  const [tag, window, outbound, inbound] = [reader.u32(), reader.u32(), reader.u16(), reader.u16()];
  const firstTsn = reader.u32();
  if (tag === 0 || outbound === 0 || inbound === 0) throw new SyntaxError("an association begins with zero");
  return { tag, window, outbound, inbound, firstTsn, params: new Map(parseParams(reader.rest())) };
}

/** Parameters with padding between them; what is behind the last one does not count as theirs. */
export function encodeParams(params: Iterable<readonly [number, Uint8Array]>): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (const [type, value] of params) {
    parts.push(new Uint8Array((4 - length % 4) % 4), u16(type), u16(4 + value.length), value);
    length = 4 + value.length;
  }
  return concat(parts);
}

/** Throws `SyntaxError`. */
export function parseParams(bytes: Uint8Array): [number, Uint8Array][] {
  const reader = new ByteReader(bytes);
  const params: [number, Uint8Array][] = [];
  while (reader.left > 0) {
    const type = reader.u16();
    const length = reader.u16();
    if (length < 4) throw new SyntaxError("a parameter is shorter than its header");
    params.push([type, reader.take(length - 4)]);
    reader.take(Math.min(reader.left, (4 - length % 4) % 4));
  }
  return params;
}

/** How far `a` is behind `b` in numbers that begin anew after 2^32; negative when it is before. */
export function distance(a: number, b: number): number {
  return (a - b) | 0;
}

/** The number `steps` after `tsn`. */
export function tsnAfter(tsn: number, steps = 1): number {
  return (tsn + steps) >>> 0;
}

function swap(value: number): number {
  return ((value & 0xff) << 24 | (value & 0xff00) << 8 | value >>> 8 & 0xff00 | value >>> 24) >>> 0;
}
