import { Buffer } from "node:buffer";
import { CodedError } from "../core/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../core/json.ts";
import type { Identity } from "./identity.ts";
import { canonicalBytes } from "./jcs.ts";
import { signBytes, verifyBytes } from "./signature.ts";

/** One of the `signatures` of an A2A agent card: a JWS without its payload (A2A 1.0, section 8.4; RFC 7515). */
export interface CardSignature {
  /** Protected header, base64url. */
  readonly protected: string;
  /** Base64url. */
  readonly signature: string;
}

/** Most signatures of a card that are looked at. */
const MAX_SIGNATURES = 16;

/** The key id (`kid`) under which this node signs cards. */
export function cardKeyId({ didKey }: Pick<Identity, "didKey">): string {
  return `${didKey}#${didKey.slice("did:key:".length)}`;
}

/**
 * Signs an A2A agent card (JSON, as it is served) with the key of this node. Members that are empty are not signed, and
 * `signatures` is not: the card may be given with those of others. Leave out members that are `false` where that is the
 * default: some clients drop them before they verify. `jku` says where the key can be had.
 */
export function signA2aCard(
  card: JsonObject,
  identity: Identity,
  options: { jku?: string } = {},
): CardSignature {
  const members = { alg: "EdDSA", kid: cardKeyId(identity), typ: "JOSE", ...options };
  const header = Buffer.from(JSON.stringify(members)).toString("base64url");
  const signature = Buffer.from(signBytes(identity, signingInput(header, card)));
  return { protected: header, signature: signature.toString("base64url") };
}

/**
 * The key id (`kid`) of the first signature of the card that is right; `keyOf` finds the Ed25519 key (32 bytes) of a key id
 * and answers undefined for one that it does not trust or know. Undefined when no signature is right.
 */
export async function verifyA2aCard(
  card: JsonObject,
  keyOf: (kid: string) => Uint8Array | undefined | Promise<Uint8Array | undefined>,
): Promise<string | undefined> {
  const { signatures } = card;
  if (!Array.isArray(signatures)) return undefined;
  for (const one of signatures.slice(0, MAX_SIGNATURES) as JsonValue[]) {
    const kid = isJsonObject(one) ? kidOf(one.protected) : undefined;
    if (kid === undefined || !isJsonObject(one) || typeof one.signature !== "string") continue;
    const key = await keyOf(kid);
    const signature = Buffer.from(one.signature, "base64url");
    if (key !== undefined && verifyBytes(key, signingInput(String(one.protected), card), signature)) {
      return kid;
    }
  }
  return undefined;
}

/** The key id in a protected header for EdDSA without critical extensions; undefined for any other. */
function kidOf(header: JsonValue | undefined): string | undefined {
  if (typeof header !== "string") return undefined;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(header, "base64url").toString());
    if (!isJsonObject(parsed) || parsed.alg !== "EdDSA" || parsed.crit !== undefined) return undefined;
    return typeof parsed.kid === "string" ? parsed.kid : undefined;
  } catch {
    return undefined; // no JSON
  }
}

function signingInput(header: string, card: JsonObject): Uint8Array {
  const { signatures: _, ...rest } = card;
  const payload = withoutEmpty(rest, 0) ?? {};
  return Buffer.from(`${header}.${Buffer.from(canonicalBytes(payload)).toString("base64url")}`);
}

/** Deepest nesting of a card that can be signed. */
const MAX_DEPTH = 64;

/** `value` without empty texts, lists, objects and nulls, as A2A wants a card before it is signed. */
function withoutEmpty(value: JsonValue | undefined, depth: number): JsonValue | undefined {
  if (depth > MAX_DEPTH) {
    throw new CodedError("invalid_argument", `The agent card is nested deeper than ${MAX_DEPTH} levels`);
  }
  if (value === "" || value === null || value === undefined) return undefined;
  if (Array.isArray(value)) {
    const items = value.map((item) => withoutEmpty(item, depth + 1)).filter((item) => item !== undefined);
    return items.length === 0 ? undefined : items;
  }
  if (!isJsonObject(value)) return value;
  const members = Object.entries(value).flatMap(([name, member]) => {
    const kept = withoutEmpty(member, depth + 1);
    return kept === undefined ? [] : [[name, kept]];
  });
  return members.length === 0 ? undefined : Object.fromEntries(members);
}
