import * as identity from "../identity/mod.ts";

/** The `did:key:z6Mk…` of a peer id. Throws a `CodedError` with `invalid_argument` for what is no Ed25519 peer id. */
export function peerIdToDidKey(peerId: string): string {
  return identity.toDidKey(peerId);
}

/** The peer id (`12D3KooW…`) of an Ed25519 `did:key`. Throws a `CodedError` with `invalid_argument`. */
export function didKeyToPeerId(did: string): string {
  return identity.fromDidKey(did);
}

/**
 * Where the document of a `did:web` is: `did:web:example.com:agents:a` is at `https://example.com/agents/a/did.json`. Throws a
 * `CodedError` with `invalid_argument`, also for addresses in place of a name and for paths that would lead elsewhere.
 */
export function didWebToUrl(did: string): string {
  return identity.didWebToUrl(did);
}

/** The `did:web` whose document is at `url`. Throws a `CodedError` with `invalid_argument` when no `did:web` leads there. */
export function urlToDidWeb(url: string): string {
  return identity.urlToDidWeb(url);
}
