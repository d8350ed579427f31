import { CodedError } from "../../core/errors.ts";
import { shorten } from "../peer_id.ts";

/** The methods that are resolved. */
export const DID_METHODS = ["key", "web", "dns", "wba"] as const;
/** One of {@link DID_METHODS}. */
export type DidMethod = (typeof DID_METHODS)[number];

/** A DID in its two parts, such as `web` and `example.com`. */
export interface Did {
  readonly method: DidMethod;
  readonly id: string;
}

/** Longest DID that is looked at. */
const MAX_DID_CHARACTERS = 1024;

/** `did:` method `:` id, the id of `idchar`s and colons, not ending in a colon (DID Core, section 3.1). */
const DID_SYNTAX =
  /^did:([a-z0-9]+):((?:[A-Za-z0-9._:-]|%[0-9A-Fa-f]{2})*(?:[A-Za-z0-9._-]|%[0-9A-Fa-f]{2}))$/;

/** The parts of a DID, without path, query or fragment. @throws CodedError `invalid_argument`, also for another method. */
export function parseDid(text: string): Did {
  const [, name, id] = (text.length <= MAX_DID_CHARACTERS && DID_SYNTAX.exec(text)) || [];
  const method = DID_METHODS.find((one) => one === name);
  if (method !== undefined && id !== undefined) return { method, id };
  const known = DID_METHODS.map((one) => `did:${one}`).join(", ");
  throw new CodedError(
    "invalid_argument",
    `Cannot read the DID ${shorten(text)}: it is none of the kinds ${known}, such as did:web:example.com`,
  );
}

/** Whether `text` is a DID of a method that is resolved. */
export function isDid(text: unknown): text is string {
  if (typeof text !== "string" || text.length > MAX_DID_CHARACTERS) return false;
  const [, name] = DID_SYNTAX.exec(text) ?? [];
  return DID_METHODS.some((method) => method === name);
}
