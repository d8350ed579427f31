import { Buffer } from "node:buffer";
import { CodedError } from "../core/errors.ts";
import type { Identity } from "./identity.ts";
import { canonicalBytes } from "./jcs.ts";
import { isPeerId, publicKeyFromPeerId, shorten } from "./peer_id.ts";
import { signFor, verifyFor } from "./signature.ts";

const PURPOSE = "registry-record";

/** Longest payload of a record. */
export const MAX_RECORD_BYTES = 32 * 1024;
/** Most addresses of a record. */
export const MAX_RECORD_ADDRESSES = 16;
/** Longest time between issue and expiry: what a relay that lies may go on telling of a peer that has gone. */
export const MAX_RECORD_LIFETIME_MS = 24 * 60 * 60 * 1000;
/** How far the clocks of two machines may be apart. */
const MAX_CLOCK_SKEW_MS = 5 * 60 * 1000;

/** Most of each, and longest text in UTF-16 units. */
const LIMITS = {
  name: 256,
  description: 4_096,
  skills: 128,
  skillId: 128,
  skillDescription: 1_024,
  tags: 32,
  tagName: 64,
  tagValue: 256,
  addresses: MAX_RECORD_ADDRESSES,
  address: 256,
} as const;

/** Something a peer offers. */
export interface RegistrySkill {
  readonly id: string;
  readonly description: string;
  /** Labels to filter by. */
  readonly tags: Readonly<Record<string, string>>;
}

/** What a peer says about itself. */
export interface RegistryFacts {
  readonly name: string;
  readonly description: string;
  readonly skills: readonly RegistrySkill[];
  /** Multiaddrs at which it says it can be reached. */
  readonly addresses: readonly string[];
}

/** A record as its peer has signed it. */
export interface RegistryRecord extends RegistryFacts {
  readonly peerId: string;
  /** Of two records of a peer the one with the higher sequence holds. A safe integer. */
  readonly sequence: number;
  /** Milliseconds since the Unix epoch. */
  readonly issuedAtMs: number;
  /** Nobody may use it from this time on. Milliseconds since the Unix epoch. */
  readonly expiresAtMs: number;
  /** The peer takes back what it said: it has no skills then. */
  readonly removed: boolean;
}

/** A record on its way: canonical JSON and the signature over it. */
export interface SignedRegistryRecord {
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 * Signs what `identity` says about itself. Throws `invalid_argument` for facts that break the limits, which are those of
 * {@link checkRegistryFacts}, and for an expiry that is not after the issue or more than 24 h behind it.
 */
export function signRegistryRecord(
  record: Omit<RegistryRecord, "peerId">,
  identity: Identity,
): SignedRegistryRecord {
  const whole = { ...record, peerId: identity.peerId };
  checkRecord(whole);
  const payload = toPayload(whole);
  checkLength(payload);
  return { payload, signature: signFor(PURPOSE, identity, payload) };
}

/**
 * The record in `signed`, after it was checked that its peer has signed it and that it holds now.
 * Throws `invalid_argument` (malformed, not canonical, over a limit, expiry too far away, issued in the future),
 * `unauthenticated` (not signed by the peer it names), `failed_precondition` (expired).
 */
export function openRegistryRecord(
  { payload, signature }: SignedRegistryRecord,
  { nowMs }: { nowMs: number },
): RegistryRecord {
  checkLength(payload);
  const record = parsePayload(payload);
  checkRecord(record);
  if (Buffer.compare(toPayload(record), payload) !== 0) throw refused("it is not in canonical form");
  if (!verifyFor(PURPOSE, { publicKey: publicKeyFromPeerId(record.peerId), signature }, payload)) {
    throw new CodedError(
      "unauthenticated",
      `The record is not signed by ${record.peerId}: it is not believed`,
    );
  }
  if (record.issuedAtMs > nowMs + MAX_CLOCK_SKEW_MS) {
    throw refused("it was issued in the future; compare the clocks of both machines");
  }
  if (record.expiresAtMs > nowMs) return record;
  throw new CodedError("failed_precondition", `The record of ${record.peerId} has expired: sign a new one`);
}

/** Throws `invalid_argument`, saying what is too long or too many, unless a registry takes these facts. */
export function checkRegistryFacts({ name, description, skills, addresses }: RegistryFacts): void {
  checkText("name", name, LIMITS.name);
  checkText("description", description, LIMITS.description);
  checkCount("skills", skills.length, LIMITS.skills);
  checkCount("addresses", addresses.length, LIMITS.addresses);
  for (const address of addresses) checkText("address", address, LIMITS.address);
  const ids = new Set<string>();
  for (const { id, description: about, tags } of skills) {
    if (id === "") throw refused("a skill has no id");
    checkText("skill id", id, LIMITS.skillId);
    checkText("description of a skill", about, LIMITS.skillDescription);
    if (ids.has(id)) throw refused(`the skill ${shorten(id)} is there twice`);
    ids.add(id);
    const entries = Object.entries(tags);
    checkCount("tags of a skill", entries.length, LIMITS.tags);
    for (const [tag, value] of entries) {
      checkText("name of a tag", tag, LIMITS.tagName);
      checkText("value of a tag", value, LIMITS.tagValue);
    }
  }
}

function checkRecord(record: RegistryRecord): void {
  const { peerId, sequence, issuedAtMs, expiresAtMs, removed, skills } = record;
  if (!isPeerId(peerId)) throw refused("its peer id is none");
  for (const [what, value] of Object.entries({ sequence, issuedAtMs, expiresAtMs })) {
    if (!Number.isSafeInteger(value) || value < 0) throw refused(`its ${what} is no whole number`);
  }
  const lifetimeMs = expiresAtMs - issuedAtMs;
  if (lifetimeMs <= 0 || lifetimeMs > MAX_RECORD_LIFETIME_MS) {
    throw refused(`it is to hold for ${lifetimeMs} ms, which is none or more than 24 h`);
  }
  if (removed !== (skills.length === 0)) throw refused("it has skills exactly when it is not removed");
  checkRegistryFacts(record);
}

function checkText(what: string, text: string, longest: number): void {
  if (text.length > longest) {
    throw refused(`its ${what} has ${text.length} characters, at most ${longest} are taken`);
  }
  if (!text.isWellFormed()) throw refused(`its ${what} is no well-formed text`);
}

function checkCount(what: string, count: number, most: number): void {
  if (count > most) throw refused(`it has ${count} ${what}, at most ${most} are taken`);
}

function checkLength({ length }: Uint8Array): void {
  if (length > MAX_RECORD_BYTES) {
    throw refused(`it has ${length} bytes, at most ${MAX_RECORD_BYTES} are taken`);
  }
}

function refused(reason: string): CodedError {
  return new CodedError("invalid_argument", `The registration cannot be taken: ${reason}`);
}

function toPayload(record: RegistryRecord): Uint8Array {
  const { peerId, sequence, issuedAtMs, expiresAtMs, name, description, addresses, removed } = record;
  const skills = record.skills.map(({ id, description, tags }) => ({ id, description, tags }));
  return canonicalBytes({
    ...{ peerId, sequence, issuedAtMs, expiresAtMs, name, description, skills, addresses, removed },
  });
}

function parsePayload(payload: Uint8Array): RegistryRecord {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch (cause) {
    throw new CodedError("invalid_argument", "The registration cannot be taken: it is no JSON", { cause });
  }
  if (isRecord(value)) return value;
  throw refused("it has not the form of a record");
}

/** Whether all is there with its type; anything beyond shows when the bytes are compared with the canonical ones. */
function isRecord(value: unknown): value is RegistryRecord {
  if (!isObject(value)) return false;
  const { peerId, sequence, issuedAtMs, expiresAtMs, name, description, skills, addresses, removed } = value;
  return [peerId, name, description].every(isText) && [sequence, issuedAtMs, expiresAtMs].every(isNumber) &&
    typeof removed === "boolean" && Array.isArray(addresses) && addresses.every(isText) &&
    Array.isArray(skills) && skills.every(isSkill);
}

function isSkill(value: unknown): value is RegistrySkill {
  return isObject(value) && isText(value.id) && isText(value.description) && isObject(value.tags) &&
    Object.values(value.tags).every(isText);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isNumber(value: unknown): value is number {
  return typeof value === "number";
}
