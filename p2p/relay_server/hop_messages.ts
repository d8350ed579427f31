import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** Protocol by which peers ask a relay for reservations and circuits. */
export const HOP_PROTOCOL = "/libp2p/circuit/relay/0.2.0/hop";
/**
 * The same between nodes of this program, with one promise more: what a peer sends behind a request for a circuit, before the
 * answer, is the beginning of what the circuit carries. It arrives together with the offer.
 */
export const EAGER_HOP_PROTOCOL = "/agentanycast/circuit/hop/1.0";
/** Protocol by which a relay offers a circuit to the peer at its end. */
export const STOP_PROTOCOL = "/libp2p/circuit/relay/0.2.0/stop";
/** Longest message of both. */
export const MAX_HOP_MESSAGE_BYTES = 4_096;

/**
 * The messages of circuit relay v2, written out: libp2p keeps them to itself.
 * https://github.com/libp2p/specs/blob/master/relay/circuit-v2.md#protobuf
 */
export const HOP_STATUS = {
  ok: 100,
  reservationRefused: 200,
  resourceLimitExceeded: 201,
  permissionDenied: 202,
  connectionFailed: 203,
  noReservation: 204,
  malformedMessage: 400,
  unexpectedMessage: 401,
} as const;

/** One of {@link HOP_STATUS}. */
export type HopStatus = (typeof HOP_STATUS)[keyof typeof HOP_STATUS];

const HOP_TYPES = ["reserve", "connect", "status"] as const;
const HOP_STATUS_TYPE = 2;
const STOP_CONNECT_TYPE = 0;
const STOP_STATUS_TYPE = 1;

/** What a peer asks of a relay. */
export interface HopRequest {
  readonly type: (typeof HOP_TYPES)[number] | undefined;
  /** Multihash of the peer that a circuit is to lead to. */
  readonly peer: Uint8Array | undefined;
}

/** What circuits of a reservation are limited to. */
export interface CircuitLimit {
  readonly durationSeconds: number;
  /** In each direction. */
  readonly dataBytes: number;
}

/** A place at a relay, as it is granted. */
export interface HopReservation {
  /** Seconds since the Unix epoch. */
  readonly expiresAtSeconds: number;
  /** Binary multiaddrs of the relay. */
  readonly addresses: readonly Uint8Array[];
  /** Signed envelope with the voucher. */
  readonly voucher: Uint8Array;
}

/** What a relay answers to a request for a circuit. */
export interface HopAnswer {
  /** 0 when there is none. */
  readonly status: number;
  readonly limit: CircuitLimit | undefined;
}

/** The request for a circuit to `peer`, a multihash. */
export function encodeHopConnect(peer: Uint8Array): Uint8Array {
  const writer = new BinaryWriter();
  writer.uint32(tag(1, WireType.Varint)).uint32(HOP_TYPES.indexOf("connect"));
  writer.uint32(tag(2, WireType.LengthDelimited)).fork();
  writer.uint32(tag(1, WireType.LengthDelimited)).bytes(peer);
  writer.join();
  return writer.finish();
}

/** Reads the answer to {@link encodeHopConnect}. Throws for what is no message. */
export function decodeHopAnswer(bytes: Uint8Array): HopAnswer {
  let [type, status] = [-1, 0];
  let limit: CircuitLimit | undefined;
  readFields(bytes, {
    1: (reader) => type = reader.uint32(),
    4: (reader) => limit = readLimit(reader.bytes()),
    5: (reader) => status = reader.uint32(),
  });
  return { status: type === HOP_STATUS_TYPE ? status : 0, limit };
}

/** What the circuit relay v2 specification calls a status. */
export function nameOfStatus(status: number): string {
  const name = Object.entries(HOP_STATUS).find(([, value]) => value === status)?.[0];
  return name === undefined ? String(status) : name.replace(/[A-Z]/g, "_$&").toUpperCase();
}

/** Reads a request. Throws for what is no message. */
export function decodeHopRequest(bytes: Uint8Array): HopRequest {
  let type: HopRequest["type"];
  let peer: Uint8Array | undefined;
  readFields(bytes, {
    1: (reader) => type = HOP_TYPES[reader.uint32()],
    2: (reader) => readFields(reader.bytes(), { 1: (inner) => peer = inner.bytes() }),
  });
  return { type, peer };
}

/** Reads the status of the answer to {@link encodeStopConnect}. Throws for what is no message; 0 when there is none. */
export function decodeStopStatus(bytes: Uint8Array): number {
  let type = 0;
  let status = 0;
  readFields(bytes, { 1: (reader) => type = reader.uint32(), 4: (reader) => status = reader.uint32() });
  return type === STOP_STATUS_TYPE ? status : 0;
}

/** The answer to a request. */
export function encodeHopStatus(
  status: HopStatus,
  { reservation, limit }: { reservation?: HopReservation; limit?: CircuitLimit } = {},
): Uint8Array {
  const writer = new BinaryWriter();
  writer.uint32(tag(1, WireType.Varint)).uint32(HOP_STATUS_TYPE);
  if (reservation !== undefined) writeReservation(writer, reservation);
  if (limit !== undefined) writeLimit(writer, 4, limit);
  writer.uint32(tag(5, WireType.Varint)).uint32(status);
  return writer.finish();
}

/** The offer of a circuit that comes from `source`, a multihash. */
export function encodeStopConnect(source: Uint8Array, limit: CircuitLimit): Uint8Array {
  const writer = new BinaryWriter();
  writer.uint32(tag(1, WireType.Varint)).uint32(STOP_CONNECT_TYPE);
  writer.uint32(tag(2, WireType.LengthDelimited)).fork();
  writer.uint32(tag(1, WireType.LengthDelimited)).bytes(source);
  writer.join();
  writeLimit(writer, 3, limit);
  return writer.finish();
}

/** The voucher of a reservation before it is signed; both ids are multihashes. */
export function encodeVoucher(relay: Uint8Array, peer: Uint8Array, expiresAtSeconds: number): Uint8Array {
  const writer = new BinaryWriter();
  writer.uint32(tag(1, WireType.LengthDelimited)).bytes(relay);
  writer.uint32(tag(2, WireType.LengthDelimited)).bytes(peer);
  writer.uint32(tag(3, WireType.Varint)).uint64(expiresAtSeconds);
  return writer.finish();
}

function writeReservation(writer: BinaryWriter, reservation: HopReservation): void {
  writer.uint32(tag(3, WireType.LengthDelimited)).fork();
  writer.uint32(tag(1, WireType.Varint)).uint64(reservation.expiresAtSeconds);
  for (const address of reservation.addresses) {
    writer.uint32(tag(2, WireType.LengthDelimited)).bytes(address);
  }
  writer.uint32(tag(3, WireType.LengthDelimited)).bytes(reservation.voucher);
  writer.join();
}

function writeLimit(
  writer: BinaryWriter,
  field: number,
  { durationSeconds, dataBytes }: CircuitLimit,
): void {
  writer.uint32(tag(field, WireType.LengthDelimited)).fork();
  writer.uint32(tag(1, WireType.Varint)).uint32(durationSeconds);
  writer.uint32(tag(2, WireType.Varint)).uint64(dataBytes);
  writer.join();
}

function readLimit(bytes: Uint8Array): CircuitLimit {
  let [durationSeconds, dataBytes] = [0, 0];
  readFields(bytes, {
    1: (reader) => durationSeconds = reader.uint32(),
    2: (reader) => dataBytes = Number(reader.uint64()),
  });
  return { durationSeconds, dataBytes };
}

function tag(field: number, type: WireType): number {
  return (field << 3 | type) >>> 0;
}

function readFields(
  bytes: Uint8Array,
  fields: Readonly<Record<number, (reader: BinaryReader) => void>>,
): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    const read = fields[field];
    if (read === undefined) reader.skip(wireType, field);
    else read(reader);
  }
}
