/**
 * Who a node is: its key file, Ed25519 keys, peer ids and DIDs. Imports `core/` only; holds nothing open. `peer_id.ts` and
 * `did_key.ts` run in browsers too.
 *
 * @module
 */
export { createIdentity, type Identity } from "./identity.ts";
export { openIdentity } from "./key_file.ts";
export { isPeerId, peerIdFromPublicKey, publicKeyFromPeerId } from "./peer_id.ts";
export {
  checkRegistryFacts,
  MAX_RECORD_BYTES,
  MAX_RECORD_LIFETIME_MS,
  openRegistryRecord,
  type RegistryFacts,
  type RegistryRecord,
  type RegistrySkill,
  type SignedRegistryRecord,
  signRegistryRecord,
} from "./registry_record.ts";
export { fromDidKey, toDidKey } from "./did_key.ts";
export { canonicalBytes, canonicalJson } from "./jcs.ts";
export { type SignaturePurpose, signBytes, signFor, verifyBytes, verifyFor } from "./signature.ts";
export { type CardSignature, signA2aCard, verifyA2aCard } from "./card_jws.ts";
