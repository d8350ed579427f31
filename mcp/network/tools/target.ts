import { CodedError } from "../../../core/errors.ts";
import type { NetworkAccess, Target } from "../access.ts";

/** How a task reaches its agent, in the words of the existing network. */
export type SendMode = "direct" | "anycast" | "http_bridge";

/** The mode of each kind of target. */
export const MODES: Readonly<Record<Target["kind"], SendMode>> = {
  peer: "direct",
  skill: "anycast",
  url: "http_bridge",
};

/**
 * The target that `text` names: a peer id, a `did:key`, an address that ends in `/p2p/<peer id>` (which is connected to), an HTTP
 * URL, or else a skill. @throws CodedError `invalid_argument`, and what connecting throws.
 */
export async function toTarget(text: string, access: NetworkAccess): Promise<Target> {
  const name = text.trim();
  if (/^https?:\/\//i.test(name)) return { kind: "url", url: name };
  if (name.startsWith("/")) {
    const { peerId } = await access.connect(name);
    return { kind: "peer", peerId };
  }
  const peerId = await findPeerId(name);
  return peerId === undefined ? { kind: "skill", skill: name } : { kind: "peer", peerId };
}

/** The peer id that `text` names. @throws CodedError `invalid_argument`. */
export async function toPeerId(text: string): Promise<string> {
  const peerId = await findPeerId(text.trim());
  if (peerId !== undefined) return peerId;
  throw new CodedError(
    "invalid_argument",
    `"${text}" is no peer: name a peer id (12D3KooW…) or a did:key, such as discover_agents and list_connected_peers tell`,
  );
}

async function findPeerId(name: string): Promise<string | undefined> {
  const { fromDidKey, isPeerId } = await import("../../../identity/mod.ts"); // not needed for a client's first questions
  if (name.startsWith("did:key:")) return fromDidKey(name);
  return isPeerId(name) ? name : undefined;
}
