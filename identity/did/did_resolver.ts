import { type Clock, systemClock } from "../../core/clock.ts";
import { CodedError, errorMessage, toCodedError } from "../../core/errors.ts";
import { isJsonObject, type JsonObject } from "../../core/json.ts";
import { fromDidKey } from "../did_key.ts";
import { publicKeyFromPeerId, shorten } from "../peer_id.ts";
import { findProofs } from "../vc/data_integrity.ts";
import { parseDid } from "./did.ts";
import { didDnsName, didKeysOfTxt } from "./did_dns.ts";
import { keysOfDocument, thumbprintOf, type VerificationKey } from "./did_document.ts";
import { didWebToUrl } from "./did_web.ts";

/** Who a DID is: its Ed25519 keys, and the document that says so when there is one. */
export interface ResolvedDid {
  readonly did: string;
  /** Never empty. */
  readonly keys: readonly VerificationKey[];
  readonly document?: JsonObject;
}

/** The network, as far as DIDs need it; both are to be bounded in time and guarded against private addresses. */
export interface DidNetwork {
  /** The bytes at an https: URL, at most `maxBytes`. Throws when they cannot be had. */
  fetchBytes(url: string, options: { maxBytes: number; signal?: AbortSignal }): Promise<Uint8Array>;
  /** The TXT records of a name, each with its strings joined; none when there are none. */
  resolveTxt(name: string, options: { signal: AbortSignal }): Promise<readonly string[]>;
}

export interface DidResolverOptions {
  /** How long an answer is kept, in milliseconds. Default 5 minutes. */
  keepMs?: number;
  /** How long a failure is kept, in milliseconds. Default 30 s. */
  keepFailureMs?: number;
  /** Most DIDs kept; beyond that the one asked for longest ago goes. Default 1,000. */
  maxKept?: number;
  /** Default 10 s. */
  timeoutMs?: number;
  /** Default the system's. */
  clock?: Clock;
}

/** Finds the keys of DIDs. */
export interface DidResolver {
  /**
   * Who `did` is, as of a few minutes ago at most. @throws CodedError `invalid_argument` (no DID, or of no known method),
   * `not_found` (it names no key), `unavailable` or what the network throws.
   */
  resolve(did: string): Promise<ResolvedDid>;
}

/** Most bytes of a DID document. */
const MAX_DOCUMENT_BYTES = 256 * 1024;
/** Most DIDs looked up at once; more wait for nothing and are refused. */
const MAX_UNDER_WAY = 64;

interface Kept {
  readonly answer: Promise<ResolvedDid>;
  /** In milliseconds since the Unix epoch; while it is under way, endless. */
  untilMs: number;
}

/** A {@link DidResolver} over the network, with a memory of fixed size; many who ask for the same DID cause one look-up. */
export function createDidResolver(network: DidNetwork, options: DidResolverOptions = {}): DidResolver {
  const { clock = systemClock, keepMs = 300_000, keepFailureMs = 30_000, maxKept = 1_000 } = options;
  const timeoutMs = options.timeoutMs ?? 10_000;
  const kept = new Map<string, Kept>();
  let underWay = 0;

  async function lookUp(did: string, entry: { untilMs: number }): Promise<ResolvedDid> {
    underWay++;
    const over = new AbortController();
    const timer = setTimeout(
      () =>
        over.abort(new CodedError("deadline_exceeded", `${did} was not found within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    try {
      const found = await resolveOnce(did, { network, signal: over.signal, nowMs: clock.now() });
      entry.untilMs = clock.now() + keepMs;
      return found;
    } catch (error) {
      entry.untilMs = clock.now() + keepFailureMs;
      throw toResolveError(did, error);
    } finally {
      clearTimeout(timer);
      underWay--;
    }
  }

  return {
    resolve: async (did) => {
      if (parseDid(did).method === "key") return resolveDidKey(did);
      const before = kept.get(did);
      kept.delete(did);
      if (before !== undefined && clock.now() < before.untilMs) {
        kept.set(did, before); // used last
        return await before.answer;
      }
      if (underWay >= MAX_UNDER_WAY) {
        throw new CodedError("resource_exhausted", `Cannot look up ${did}: too many look-ups are under way`);
      }
      const entry = { untilMs: Infinity, answer: Promise.resolve() as Promise<unknown> };
      entry.answer = lookUp(did, entry);
      kept.set(did, entry as Kept);
      for (const oldest of kept.keys()) {
        if (kept.size <= maxKept) break;
        kept.delete(oldest);
      }
      return await (entry as Kept).answer;
    },
  };
}

/** Who a did:key is: it says so itself. @throws CodedError `invalid_argument`. */
export function resolveDidKey(did: string): ResolvedDid {
  const publicKey = publicKeyFromPeerId(fromDidKey(did));
  const id = `${did}#${did.slice("did:key:".length)}`;
  return { did, keys: [{ id, publicKey, purposes: ["assertionMethod", "authentication"] }] };
}

interface LookUp {
  readonly network: DidNetwork;
  readonly signal: AbortSignal;
  readonly nowMs: number;
}

async function resolveOnce(did: string, lookUp: LookUp): Promise<ResolvedDid> {
  const { method } = parseDid(did);
  switch (method) {
    case "key":
      return resolveDidKey(did);
    case "dns":
      return await resolveDns(did, lookUp);
    case "web":
      return await resolveDocument(did, lookUp);
    case "wba":
      return checkWba(await resolveDocument(did, lookUp), lookUp.nowMs);
    default:
      return method satisfies never;
  }
}

async function resolveDns(did: string, { network, signal }: LookUp): Promise<ResolvedDid> {
  const name = didDnsName(did);
  const dids = didKeysOfTxt(await network.resolveTxt(name, { signal }));
  return orNoKey(
    { did, keys: dids.flatMap((one) => resolveDidKey(one).keys) },
    `no TXT record of ${name} has a did:key`,
  );
}

async function resolveDocument(did: string, { network, signal }: LookUp): Promise<ResolvedDid> {
  const url = didWebToUrl(did);
  const bytes = await network.fetchBytes(url, { maxBytes: MAX_DOCUMENT_BYTES, signal });
  const document = parseDocument(bytes);
  if (document?.id !== did) {
    const found = document === undefined
      ? "no JSON object"
      : `the document of ${shorten(String(document.id))}`;
    throw new CodedError("failed_precondition", `Cannot use the DID ${did}: at ${url} is ${found}`);
  }
  return orNoKey(
    { did, keys: keysOfDocument(did, document), document },
    `its document at ${url} has no Ed25519 key`,
  );
}

/** A DID that ends in the thumbprint of a key has to have a document that this key has signed (ANP-03, section 2.5.2). */
function checkWba(resolved: ResolvedDid, nowMs: number): ResolvedDid {
  const { did, keys, document = {} } = resolved;
  const last = parseDid(did).id.split(":").at(-1) ?? "";
  if (!last.startsWith("e1_")) return resolved;
  const bound = keys.find(({ publicKey }) => `e1_${thumbprintOf(publicKey)}` === last);
  const isSigned = bound !== undefined && bound.purposes.length === 2 &&
    findProofs(document).some((proof) =>
      proof.verificationMethod === bound.id && proof.purpose === "assertionMethod" &&
      proof.isBy(bound.publicKey, nowMs)
    );
  if (isSigned) return resolved;
  throw new CodedError(
    "failed_precondition",
    `Cannot use the DID ${did}: its document is not signed by the key whose thumbprint it ends in`,
  );
}

function parseDocument(bytes: Uint8Array): JsonObject | undefined {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return isJsonObject(parsed) ? parsed : undefined;
  } catch {
    return undefined; // no UTF-8 or no JSON
  }
}

function orNoKey(resolved: ResolvedDid, reason: string): ResolvedDid {
  if (resolved.keys.length > 0) return resolved;
  throw new CodedError("not_found", `Cannot use the DID ${resolved.did}: ${reason}`);
}

function toResolveError(did: string, error: unknown): CodedError {
  if (error instanceof CodedError && error.message.includes(did)) return error;
  const { code } = toCodedError(error);
  const reason = `Cannot resolve the DID ${did}: ${errorMessage(error)}`;
  return new CodedError(code === "internal" ? "unavailable" : code, reason, { cause: error });
}
