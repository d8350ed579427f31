import { CodedError } from "../../core/errors.ts";
import { isDidKey } from "../did_key.ts";
import { shorten } from "../peer_id.ts";
import { parseDid } from "./did.ts";

const DOMAIN = /^(?=.{1,247}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
/** Most keys that are taken from the records of a domain. */
const MAX_KEYS = 16;

/** The name of the TXT records of a `did:dns:<domain>`: `_did.<domain>`. @throws CodedError `invalid_argument`. */
export function didDnsName(did: string): string {
  const { method, id } = parseDid(did);
  if (method === "dns" && DOMAIN.test(id)) return `_did.${id.toLowerCase()}`;
  throw new CodedError(
    "invalid_argument",
    `Cannot read the DID ${shorten(did)}: a did:dns is a domain, such as did:dns:example.com`,
  );
}

/** The `did:key`s in TXT records, each `did=did:key:…` or the DID alone; other records are left out. */
export function didKeysOfTxt(records: readonly string[]): string[] {
  const dids = records.map((record) => record.trim().replace(/^did=/i, ""));
  return [...new Set(dids.filter(isDidKey))].slice(0, MAX_KEYS);
}
