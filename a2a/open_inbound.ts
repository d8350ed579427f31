import { CodedError } from "../core/errors.ts";
import type { Task, TaskStatus } from "./model.ts";
import { isTerminal } from "./state_machine.ts";

/** How many received tasks may be unfinished at once. */
export interface OpenInboundLimits {
  total: number;
  perPeer: number;
}

/** The received tasks that have not ended, by id and status, within bounds. */
export class OpenInbound {
  readonly #tasks = new Map<string, TaskStatus>();
  readonly #byPeer = new Map<string, number>();

  constructor(readonly limits: OpenInboundLimits) {}

  /** Takes note of a task as it is now. */
  update({ taskId, peerId, direction, status }: Task): void {
    if (direction !== "inbound") return;
    const known = this.#tasks.has(taskId);
    if (!isTerminal(status)) {
      this.#tasks.set(taskId, status);
      if (!known) this.#byPeer.set(peerId, (this.#byPeer.get(peerId) ?? 0) + 1);
    } else if (this.#tasks.delete(taskId)) {
      const left = (this.#byPeer.get(peerId) ?? 1) - 1;
      if (left > 0) this.#byPeer.set(peerId, left);
      else this.#byPeer.delete(peerId);
    }
  }

  /** The ids of the tasks in `wanted`, in the order in which they came. */
  idsIn(wanted: TaskStatus): string[] {
    return [...this.#tasks].filter(([, status]) => status === wanted).map(([taskId]) => taskId);
  }

  /** Refuses one more task of `peerId` while there are too many. @throws CodedError `resource_exhausted`. */
  checkRoom(peerId: string): void {
    const ofPeer = this.#byPeer.get(peerId) ?? 0;
    if (this.#tasks.size < this.limits.total && ofPeer < this.limits.perPeer) return;
    throw new CodedError(
      "resource_exhausted",
      `${ofPeer} received tasks of this peer and ${this.#tasks.size} in all are unfinished`,
    );
  }
}
