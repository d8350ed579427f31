/**
 * Who a node is: its key file, Ed25519 keys, peer ids and DIDs. Imports `core/` only; holds nothing open. `peer_id.ts` and
 * `did_key.ts` run in browsers too.
 *
 * @module
 */
export { createIdentity, type Identity } from "./identity.ts";
export { CredentialFolder, type IssuedCredential } from "./credential_folder.ts";
export { exportKey, type KeyFormat, parseKey, replaceKey, saveKey } from "./key_backup.ts";
export { openIdentity } from "./key_file.ts";
export { isPeerId, peerIdFromPublicKey, publicKeyFromPeerId } from "./peer_id.ts";
export {
  checkRegistryFacts,
  MAX_RECORD_ADDRESSES,
  MAX_RECORD_BYTES,
  MAX_RECORD_LIFETIME_MS,
  openRegistryRecord,
  type RegistryFacts,
  type RegistryRecord,
  type RegistrySkill,
  type SignedRegistryRecord,
  signRegistryRecord,
} from "./registry_record.ts";
export { fromDidKey, fromMultibaseKey, isDidKey, toDidKey, toMultibaseKey } from "./did_key.ts";
export { canonicalBytes, canonicalJson } from "./jcs.ts";
export { type SignaturePurpose, signBytes, signFor, verifyBytes, verifyFor } from "./signature.ts";
export { cardKeyId, type CardSignature, signA2aCard, verifyA2aCard } from "./card_jws.ts";
export { type Did, DID_METHODS, type DidMethod, isDid, parseDid } from "./did/did.ts";
export { didDnsName, didKeysOfTxt } from "./did/did_dns.ts";
export {
  createDidDocument,
  type DidService,
  keysOfDocument,
  thumbprintOf,
  type VerificationKey,
} from "./did/did_document.ts";
export {
  createDidResolver,
  type DidNetwork,
  type DidResolver,
  type DidResolverOptions,
  type ResolvedDid,
  resolveDidKey,
} from "./did/did_resolver.ts";
export { didWebToUrl, urlToDidWeb } from "./did/did_web.ts";
export {
  addProof,
  findProofs,
  type FoundProof,
  type ProofOptions,
  type ProofPurpose,
} from "./vc/data_integrity.ts";
export { toX25519PrivateKey, toX25519PublicKey } from "./x25519.ts";
export { type CredentialClaims, MAX_CREDENTIAL_BYTES, parseCredential } from "./vc/credential.ts";
export {
  type CheckedCredential,
  type CredentialVerdict,
  CredentialVerifier,
} from "./vc/credential_verifier.ts";
export { parseDateTime, toDateTime } from "./vc/date_time.ts";
export { issueCredential, type Issuer, issueStatusList, type NewCredential } from "./vc/issue_credential.ts";
export { MIN_STATUS_ENTRIES, setStatus, statusAt, type StatusEntry } from "./vc/status_list.ts";
export { BOX_OVERHEAD_BYTES, PayloadBox } from "./payload_box.ts";
