import { peerIdFromString } from "@libp2p/peer-id";
import type { PeerId } from "@libp2p/interface";
import { CODE_P2P, type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { CodedError, errorMessage } from "../core/errors.ts";

/** A peer and where it may be reached. */
export interface PeerTarget {
  peerId: string;
  /** Multiaddrs ending in `/p2p/<peerId>`; empty when only the id is known. */
  addresses: string[];
}

/**
 * Reads a bare peer id or a multiaddr that ends in `/p2p/<peer id>`. Throws `SyntaxError` saying what was expected.
 */
export function parsePeerTarget(text: string): PeerTarget {
  const trimmed = text.trim();
  if (!trimmed.startsWith("/")) {
    return {
      peerId: parseOrThrow(trimmed, "a peer id", () => peerIdFromString(trimmed).toString()),
      addresses: [],
    };
  }
  const address = parseOrThrow(trimmed, "a multiaddr", () => multiaddr(trimmed));
  const named = lastPeerId(address);
  if (named === undefined) {
    throw new SyntaxError(
      `Could not read ${JSON.stringify(trimmed)} as a peer: the multiaddr does not end in /p2p/<peer id>; ` +
        `append the id, as in /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW…`,
    );
  }
  const peerId = parseOrThrow(trimmed, "a peer", () => peerIdFromString(named).toString());
  return { peerId, addresses: [address.toString()] };
}

/** Whether `text` is a peer id. */
export function isPeerId(text: string): boolean {
  try {
    peerIdFromString(text);
    return true;
  } catch {
    return false; // The library has no other way to ask.
  }
}

/** The peer id that `text` writes down. Throws `invalid_argument`. */
export function toPeerId(text: string): PeerId {
  try {
    return peerIdFromString(text);
  } catch (cause) {
    const message = `Could not read ${JSON.stringify(text)} as a peer id: expected one like 12D3KooW…`;
    throw new CodedError("invalid_argument", message, { cause });
  }
}

/** `address` ending in `/p2p/<peerId>`. Throws `invalid_argument` when it is malformed or names another peer. */
export function toPeerAddress(address: string, peerId: string): Multiaddr {
  let parsed: Multiaddr;
  try {
    parsed = multiaddr(address);
  } catch (cause) {
    const message = `Could not read ${JSON.stringify(address)} as a multiaddr: ${errorMessage(cause)}; ` +
      `expected one like /ip4/192.0.2.7/tcp/4001`;
    throw new CodedError("invalid_argument", message, { cause });
  }
  const named = lastPeerId(parsed);
  if (named === undefined) return parsed.encapsulate(`/p2p/${peerId}`);
  if (named === peerId) return parsed;
  throw new CodedError(
    "invalid_argument",
    `Could not use ${address} for peer ${peerId}: it names peer ${named}; pass the address or the id that belongs`,
  );
}

function lastPeerId(address: Multiaddr): string | undefined {
  const last = address.getComponents().at(-1);
  return last?.code === CODE_P2P ? last.value : undefined;
}

function parseOrThrow<T>(text: string, expected: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    const message = `Could not read ${JSON.stringify(text)} as ${expected}: ${errorMessage(cause)}; ` +
      `expected a peer id like 12D3KooW… or a multiaddr like /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW…`;
    throw new SyntaxError(message, { cause });
  }
}

/** A multiaddr to announce. Throws `invalid_argument`. */
export function toAnnounced(text: string): Multiaddr {
  try {
    return multiaddr(text);
  } catch (cause) {
    const message = `Could not announce ${JSON.stringify(text)}: ${errorMessage(cause)}; ` +
      "give a multiaddr such as /dns4/relay.example.com/tcp/4001";
    throw new CodedError("invalid_argument", message, { cause });
  }
}
