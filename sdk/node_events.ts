import { Channel } from "../core/channel.ts";
import type { DaemonEvent } from "./attachment.ts";
import { AgentAnycastError } from "./errors.ts";
import type { NodeStatus } from "./node_options.ts";

/** Something that happened to a node. */
export type NodeEvent = DaemonEvent | {
  /** What `onStatus` is told. */
  readonly kind: "status";
  readonly status: NodeStatus;
};

/** Events that wait for one reader. */
const MAX_WAITING = 1_000;

/** Tells events to whoever reads them. */
export class NodeEvents {
  readonly #readers = new Set<Channel<NodeEvent>>();

  tell(event: NodeEvent): void {
    for (const reader of this.#readers) {
      if (reader.push(event)) continue;
      reader.close(
        new AgentAnycastError(
          "resource_exhausted",
          `Nobody has read the last ${MAX_WAITING} events: read on`,
        ),
      );
    }
  }

  /** `first`, then every event from now on, until `signal` fires. */
  read(first: readonly NodeEvent[], signal: AbortSignal | undefined): AsyncIterable<NodeEvent> {
    const reader = new Channel<NodeEvent>(MAX_WAITING + first.length, () => {
      this.#readers.delete(reader);
      signal?.removeEventListener("abort", onAbort);
    });
    const onAbort = () => reader.close();
    this.#readers.add(reader);
    for (const event of first) reader.push(event);
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
    return reader;
  }
}
