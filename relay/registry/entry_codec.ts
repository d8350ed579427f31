import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CodedError } from "../../core/errors.ts";
import {
  type FederatedRegistration,
  FederatedRegistrationSchema,
} from "../../gen/agentanycast/v1/federation_pb.ts";
import { openRegistryRecord, type RegistryRecord, type SignedRegistryRecord } from "../../identity/mod.ts";
import { fromRegistrySkill, toMs, toRegistrySkill, toSignedRecord } from "../../registry/mod.ts";
import { type Entry, toSearchText } from "./entry.ts";
import type { Withdrawal } from "./withdrawals.ts";

/** A registration or a withdrawal as relays tell it and as it is stored. */
export type WireEntry = MessageInitShape<typeof FederatedRegistrationSchema>;

/** An entry as it is told: it holds until `toldUntilMs`. */
export function fromEntry(entry: Entry): WireEntry {
  return {
    peerId: entry.peerId,
    originRelayId: entry.viaRelayId,
    skills: entry.skills.map(fromRegistrySkill),
    agentName: entry.name,
    agentDescription: entry.description,
    registeredAt: timestampFromMs(entry.registeredAtMs),
    expiresAt: timestampFromMs(Math.min(entry.toldUntilMs, entry.recordExpiresAtMs)),
    version: entry.version,
    ...(entry.signed !== undefined && { signedRecord: { ...entry.signed } }),
    addresses: [...entry.addresses],
    path: [...entry.path],
  };
}

/** A withdrawal as it is told: relays of the existing network take it for a newer entry that has lapsed. */
export function fromWithdrawal(withdrawal: Withdrawal): WireEntry {
  return {
    peerId: withdrawal.peerId,
    originRelayId: withdrawal.origin,
    registeredAt: timestampFromMs(withdrawal.atMs),
    expiresAt: timestampFromMs(withdrawal.atMs - 1),
    version: withdrawal.version,
    ...(withdrawal.signed !== undefined && { signedRecord: { ...withdrawal.signed } }),
    removed: true,
    path: [...withdrawal.path],
  };
}

/**
 * The entry that was told or stored. What the peer has signed is checked and stands in place of all else about it.
 * Throws as `openRegistryRecord`, and `invalid_argument` when the record is of another peer.
 */
export function toEntry(wire: FederatedRegistration, { nowMs }: { nowMs: number }): Entry {
  const signed = toSignedRecord(wire.signedRecord);
  const record = signed && openRecordOf(wire.peerId, signed, nowMs);
  const told = {
    name: wire.agentName,
    description: wire.agentDescription,
    skills: wire.skills.map(toRegistrySkill),
    addresses: wire.addresses,
  };
  const facts = record ?? told;
  const { name, description, skills, addresses } = facts;
  const expiresAtMs = toMs(wire.expiresAt);
  return {
    ...{ peerId: wire.peerId, name, description, skills, addresses, signed },
    verified: record !== undefined,
    sequence: record?.sequence ?? 0,
    recordExpiresAtMs: record?.expiresAtMs ?? Infinity,
    registeredAtMs: toMs(wire.registeredAt),
    lastSeenMs: toMs(wire.registeredAt),
    expiresAtMs,
    toldUntilMs: expiresAtMs,
    viaRelayId: wire.originRelayId,
    version: wire.version,
    path: wire.path,
    host: "",
    searchText: toSearchText(facts),
  };
}

/** The record in `signed`. Throws as `openRegistryRecord`, and `invalid_argument` when it is of another peer. */
export function openRecordOf(peerId: string, signed: SignedRegistryRecord, nowMs: number): RegistryRecord {
  const record = openRegistryRecord(signed, { nowMs });
  if (record.peerId === peerId) return record;
  throw new CodedError("invalid_argument", `The record is of ${record.peerId}, not of ${peerId}`);
}

/** Bytes to store. */
export function encodeWireEntry(wire: WireEntry): Uint8Array {
  return toBinary(FederatedRegistrationSchema, create(FederatedRegistrationSchema, wire));
}

/** What {@link encodeWireEntry} made. Throws for other bytes. */
export function decodeWireEntry(bytes: Uint8Array): FederatedRegistration {
  return fromBinary(FederatedRegistrationSchema, bytes);
}
