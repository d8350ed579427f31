import { CodedError } from "../core/errors.ts";
import { fromDidKey, isPeerId } from "../identity/mod.ts";

/** A peer as the user names it. */
export interface PeerTarget {
  readonly peerId: string;
  /** Multiaddrs to try; empty when only the id is known. */
  readonly addresses: readonly string[];
}

/** Reads a peer id, a `did:key` or a multiaddr that ends in `/p2p/<peer id>`. Throws `invalid_argument`. */
export function parsePeerTarget(text: string): PeerTarget {
  if (text.startsWith("did:")) return { peerId: fromDidKey(text), addresses: [] };
  const peerId = text.startsWith("/") ? /\/p2p\/([^/]+)$/.exec(text)?.[1] : text;
  if (isPeerId(peerId)) return { peerId, addresses: text.startsWith("/") ? [text] : [] };
  throw new CodedError(
    "invalid_argument",
    `"${text}" is no peer: name a peer id (12D3KooW…), a did:key, or an address that ends in /p2p/<peer id>`,
  );
}
