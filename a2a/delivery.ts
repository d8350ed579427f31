import type { Clock } from "../core/clock.ts";
import { errorMessage } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { OutboxEntry } from "./model.ts";
import type { EnvelopeTransport, TaskStore } from "./ports.ts";

/** How envelopes are tried again. */
export interface DeliveryOptions {
  /** Envelopes in flight per peer. Default 16. */
  windowPerPeer?: number;
  /** Wait for an acknowledgement before sending again, in milliseconds; doubles with each try. Default 5,000. */
  ackTimeoutMs?: number;
  /** First pause after a failed try, in milliseconds; doubles with each try, with jitter. Default 500. */
  backoffMs?: number;
  /** Longest pause and longest wait, in milliseconds. Default 60,000. */
  maxBackoffMs?: number;
}

export interface DeliveryDeps {
  store: Pick<TaskStore, "outbox" | "outboxPeers" | "removeOutbox">;
  transport: EnvelopeTransport;
  clock: Clock;
  logger: Logger;
  /** Called when an envelope's time is over, before it is dropped. */
  onExpired: (entry: OutboxEntry) => Promise<void>;
}

/** Entries of one peer kept in memory; what exceeds this stays in the store until there is room. */
const MAX_LANE_ENTRIES = 256;
const MAX_REMOVED_TOGETHER = 100;

interface Lane {
  readonly peerId: string;
  waiting: OutboxEntry[];
  /** Tasks with an envelope in flight: the next one of such a task has to wait. */
  readonly busy: Set<string>;
  /** Sequences waiting, in flight or delivered and still in the store. */
  readonly known: Set<number>;
  /** Whether the store may hold entries that are not known here. */
  moreInStore: boolean;
  /** Counts the entries left to the store, to see whether one came during a read. */
  overflows: number;
  /** Ends the pauses of this lane when the peer turns up. */
  retry: AbortController;
  wake: () => void;
}

/**
 * Brings the outbox to its peers: each envelope until it is acknowledged or expired, in order within a task, several
 * tasks at a time, every peer on its own.
 */
export class Delivery {
  readonly #deps: DeliveryDeps;
  readonly #options: Required<DeliveryOptions>;
  readonly #lanes = new Map<string, Lane>();
  readonly #running = new Set<Promise<void>>();
  readonly #acks = new Map<string, () => void>();
  /** Delivered entries still in the store; they are removed together while the last removal is under way. */
  readonly #delivered: { lane: Lane; entry: OutboxEntry }[] = [];
  #removing = false;
  readonly #stop = new AbortController();

  constructor(deps: DeliveryDeps, options: DeliveryOptions = {}) {
    this.#deps = deps;
    this.#options = {
      windowPerPeer: 16,
      ackTimeoutMs: 5000,
      backoffMs: 500,
      maxBackoffMs: 60_000,
      ...options,
    };
  }

  /** Takes up what an earlier run left; answers the highest sequence found. */
  async resume(): Promise<number> {
    const peers = await this.#deps.store.outboxPeers();
    for (const { peerId } of peers) this.#lane(peerId, true);
    return Math.max(0, ...peers.map((peer) => peer.lastSequence));
  }

  /** Takes charge of entries that have just been committed, all for one peer, in order. */
  enqueue(entries: readonly OutboxEntry[]): void {
    for (const entry of entries) {
      const lane = this.#lane(entry.peerId, false);
      if (lane.moreInStore || lane.waiting.length >= MAX_LANE_ENTRIES) {
        lane.moreInStore = true;
        lane.overflows++;
      } else this.#take(lane, entry);
      lane.wake();
    }
  }

  /** An acknowledgement from `peerId`. */
  acknowledge(peerId: string, envelopeId: string): void {
    this.#acks.get(`${peerId}/${envelopeId}`)?.();
  }

  /** A report of `peerId` on a task: it has the task, even if its acknowledgement was lost. */
  acknowledgeTask(peerId: string, taskId: string): void {
    this.#acks.get(`${peerId}/task/${taskId}`)?.();
  }

  /** The peer is there: what waits for it is tried now. */
  peerConnected(peerId: string): void {
    const lane = this.#lanes.get(peerId);
    if (lane === undefined) return;
    lane.retry.abort();
    lane.retry = new AbortController();
  }

  /** Stops trying; what is undelivered stays in the store. */
  async close(): Promise<void> {
    this.#stop.abort(new DOMException("Delivery is closing", "AbortError"));
    for (const lane of this.#lanes.values()) lane.wake();
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  #lane(peerId: string, moreInStore: boolean): Lane {
    const known = this.#lanes.get(peerId);
    if (known !== undefined) return known;
    const lane: Lane = {
      peerId,
      waiting: [],
      busy: new Set(),
      known: new Set(),
      moreInStore,
      overflows: 0,
      retry: new AbortController(),
      wake: () => {},
    };
    this.#lanes.set(peerId, lane);
    // Not before the caller has put something in: an empty lane ends at once.
    this.#track(Promise.resolve().then(() => this.#runLane(lane)));
    return lane;
  }

  #take(lane: Lane, entry: OutboxEntry): void {
    if (lane.known.has(entry.sequence)) return;
    lane.known.add(entry.sequence);
    lane.waiting.push(entry);
  }

  #track(work: Promise<void>): void {
    const tracked = work.catch((error) => {
      if (!this.#stop.signal.aborted) this.#deps.logger.error("Delivery stopped unexpectedly", { error });
    }).finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }

  async #runLane(lane: Lane): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const woken = new Promise<void>((resolve) => lane.wake = resolve);
      if (lane.moreInStore && lane.waiting.length === 0) await this.#refill(lane);
      this.#startDeliveries(lane);
      if (lane.known.size === 0 && !lane.moreInStore) break;
      await woken;
    }
    this.#lanes.delete(lane.peerId);
  }

  async #refill(lane: Lane): Promise<void> {
    const overflows = lane.overflows;
    const limit = MAX_LANE_ENTRIES + lane.known.size;
    try {
      const page = await this.#deps.store.outbox(lane.peerId, { limit });
      for (const entry of page) this.#take(lane, entry);
      lane.moreInStore = page.length === limit || lane.overflows !== overflows;
    } catch (error) {
      this.#deps.logger.error("Could not read the outbox; trying again", { peer: lane.peerId, error });
      await this.#pause(this.#options.backoffMs, this.#stop.signal);
      lane.wake();
    }
  }

  #startDeliveries(lane: Lane): void {
    for (const entry of [...lane.waiting]) {
      if (lane.busy.size >= this.#options.windowPerPeer) break;
      if (lane.busy.has(entry.taskId)) continue;
      lane.waiting.splice(lane.waiting.indexOf(entry), 1);
      lane.busy.add(entry.taskId);
      this.#track(
        this.#deliver(lane, entry).finally(() => {
          lane.busy.delete(entry.taskId);
          lane.wake();
        }),
      );
    }
  }

  async #deliver(lane: Lane, entry: OutboxEntry): Promise<void> {
    const { clock, logger, onExpired } = this.#deps;
    const facts = { peer: entry.peerId, task: entry.taskId, envelope: entry.envelope.body.type };
    for (let attempt = 0; !this.#stop.signal.aborted; attempt++) {
      try {
        if (clock.now() >= entry.expiresAtMs) await onExpired(entry);
        else if (!await this.#attempt(entry, attempt)) continue;
        return this.#remove(lane, entry);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        logger.debug("Envelope not delivered yet", { ...facts, attempt, error: errorMessage(error) });
        await this.#pause(this.#delayMs(attempt), AbortSignal.any([lane.retry.signal, this.#stop.signal]));
      }
    }
  }

  #remove(lane: Lane, entry: OutboxEntry): void {
    this.#delivered.push({ lane, entry });
    if (!this.#removing) this.#track(this.#removeDelivered());
  }

  async #removeDelivered(): Promise<void> {
    this.#removing = true;
    for (let failures = 0; this.#delivered.length > 0 && !this.#stop.signal.aborted;) {
      const batch = this.#delivered.slice(0, MAX_REMOVED_TOGETHER);
      try {
        await this.#deps.store.removeOutbox(batch.map(({ entry }) => entry));
        this.#delivered.splice(0, batch.length);
        for (const { lane, entry } of batch) {
          lane.known.delete(entry.sequence);
          lane.wake();
        }
        failures = 0;
      } catch (error) {
        this.#deps.logger.error("Delivered envelopes could not be removed; trying again", { error });
        await this.#pause(this.#delayMs(failures++), this.#stop.signal);
      }
    }
    this.#removing = false;
  }

  /** Sends once and waits for the acknowledgement; false when none came in time. */
  async #attempt(entry: OutboxEntry, attempt: number): Promise<boolean> {
    const { peerId, taskId, envelope } = entry;
    const keys = [`${peerId}/${envelope.envelopeId}`];
    if (envelope.body.type === "send_task") keys.push(`${peerId}/task/${taskId}`);
    const done = new AbortController();
    const signal = this.#stop.signal;
    try {
      const acknowledged = new Promise<true>((resolve) => {
        for (const key of keys) this.#acks.set(key, () => resolve(true));
      });
      await this.#deps.transport.send(peerId, envelope, { signal });
      const waitMs = Math.min(this.#options.ackTimeoutMs * 2 ** attempt, this.#options.maxBackoffMs);
      const timeout = this.#pause(waitMs, AbortSignal.any([done.signal, signal])).then(() => false);
      return await Promise.race([acknowledged, timeout]);
    } finally {
      done.abort();
      for (const key of keys) this.#acks.delete(key);
    }
  }

  #delayMs(attempt: number): number {
    const fullMs = Math.min(this.#options.backoffMs * 2 ** attempt, this.#options.maxBackoffMs);
    return fullMs / 2 + Math.random() * fullMs / 2;
  }

  /** Sleeps until the time is over or the signal fires. */
  #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    return this.#deps.clock.sleep(delayMs, signal).catch(() => {
      // An aborted pause is an ended pause: the caller looks at why.
    });
  }
}
