import { CodedError } from "../core/errors.ts";

/** What the two sides of DCUtR say to each other (libp2p DCUtR specification). */
export interface HolePunchMessage {
  type: "connect" | "sync";
  /** Multiaddrs in bytes. */
  addresses: readonly Uint8Array[];
}

const TYPES = { connect: 100, sync: 300 } as const;
/** Protobuf tags: field 1 as a varint, field 2 as bytes. */
const TYPE_TAG = 0x08;
const ADDRESS_TAG = 0x12;
/** Addresses of a message that are read. */
const MAX_ADDRESSES = 16;

/** The message as it travels, without the length in front. */
export function encodeHolePunch({ type, addresses }: HolePunchMessage): Uint8Array {
  const bytes = [TYPE_TAG, ...toVarint(TYPES[type])];
  for (const address of addresses.slice(0, MAX_ADDRESSES)) {
    bytes.push(ADDRESS_TAG, ...toVarint(address.length), ...address);
  }
  return Uint8Array.from(bytes);
}

/** A message from its bytes. Throws `invalid_argument` when they are none. */
export function decodeHolePunch(bytes: Uint8Array): HolePunchMessage {
  let offset = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = bytes[offset++];
      if (byte === undefined) throw malformed();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw malformed();
  };
  let type: number | undefined;
  const addresses: Uint8Array[] = [];
  while (offset < bytes.length) {
    const tag = varint();
    if (tag === TYPE_TAG) {
      type = varint();
      continue;
    }
    if ((tag & 7) !== 2) throw malformed();
    const length = varint();
    if (offset + length > bytes.length) throw malformed();
    if (tag === ADDRESS_TAG && addresses.length < MAX_ADDRESSES) {
      addresses.push(bytes.subarray(offset, offset + length));
    }
    offset += length;
  }
  if (type === TYPES.connect) return { type: "connect", addresses };
  if (type === TYPES.sync) return { type: "sync", addresses };
  throw malformed();
}

function toVarint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80; value >>>= 7) bytes.push(value & 0x7f | 0x80);
  return [...bytes, value];
}

function malformed(): CodedError {
  return new CodedError("invalid_argument", "The peer's message of the hole punch cannot be read");
}
