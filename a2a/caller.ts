import type { Task } from "./model.ts";

/**
 * Whether a received task's `peerId` names somebody who came in by another wire than the network of peers, such as
 * `http:alice`. Ids of peers have no colon.
 */
export function isCaller(peerId: string): boolean {
  return peerId.includes(":");
}

/** Whose task it is on this node: the caller that it was received from or sent for; undefined for a task between peers. */
export function callerOf(
  { direction, peerId, caller }: Pick<Task, "direction" | "peerId" | "caller">,
): string | undefined {
  if (direction === "outbound") return caller;
  return isCaller(peerId) ? peerId : undefined;
}
