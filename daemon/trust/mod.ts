/**
 * Who others are and who this node is to them: DIDs and credentials over the network, and what is proven of cards. Imports
 * `identity/` and `http/`; the daemon disposes of it.
 *
 * @module
 */
export { CardChecker, type CheckedCard, type CheckedDid } from "./card_checker.ts";
export { openTrust, type OwnDids, ownIssuer, ownSigner, type Trust } from "./trust.ts";
