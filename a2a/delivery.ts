import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import { type DeliveryDeps, DeliveryLane, type LaneOptions } from "./delivery_lane.ts";
import type { OutboxEntry, OutboxLane } from "./model.ts";
import { OutboxRoom, type OutboxRoomLimits } from "./outbox_room.ts";
import { OutboxRemoval } from "./outbox_removal.ts";

/** How envelopes are tried again, and how many may wait. */
export interface DeliveryOptions extends Partial<LaneOptions> {
  room?: Partial<OutboxRoomLimits>;
  /** How long closing waits at most for peers that are connected to take what is for them, in milliseconds. Default 0. */
  flushMs?: number;
}

/** Where an envelope is queued; without a sequence at the end of the lane. */
export interface OutboxPlace {
  readonly lane: OutboxLane;
  readonly sequence?: number;
}

type LaneName = Pick<OutboxEntry, "peerId" | "lane">;

const LANES: readonly OutboxLane[] = ["requests", "turns", "reports"];
/** Lanes that are asked for their oldest envelope at once. */
const MAX_ASKED_LANES = 100;
/** Pause between two looks at what is never answered. */
const EXPIRY_STEP_MS = 60_000;

/**
 * Brings the outbox to its peers: each envelope until it is answered or expired, in order, many at a time, every peer on its
 * own.
 */
export class Delivery {
  readonly #room: OutboxRoom;
  readonly #deps: DeliveryDeps & { clock: Clock; logger: Logger };
  readonly #options: LaneOptions;
  readonly #lanes = new Map<string, DeliveryLane>();
  readonly #running = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  readonly #removal: OutboxRemoval;
  readonly #flushMs: number;
  /** Sequences up to here are of an earlier run: whether they were tried is not known. */
  #firstSequence = 0;

  constructor(deps: DeliveryDeps, options: DeliveryOptions = {}) {
    const { room, flushMs = 0, ...lane } = options;
    this.#flushMs = flushMs;
    this.#deps = deps;
    this.#options = { answerTimeoutMs: 5000, backoffMs: 500, maxBackoffMs: 60_000, ...lane };
    this.#room = new OutboxRoom(room);
    this.#removal = new OutboxRemoval({ ...deps, signal: this.#stop.signal }, this.#options);
  }

  /** Takes up what an earlier run left; answers the highest sequence found. */
  async resume(): Promise<number> {
    const peers = await this.#deps.store.outboxPeers();
    for (const peer of peers) {
      this.#room.add(peer.peerId, peer);
      this.#lane(peer).lookInStore(0);
    }
    return this.#firstSequence = Math.max(0, ...peers.map((peer) => peer.lastSequence));
  }

  /** Counts entries that are about to be committed. @throws CodedError `resource_exhausted`, having counted none. */
  reserve(entries: readonly OutboxEntry[]): void {
    for (const [index, { peerId, lane, type, bytes }] of entries.entries()) {
      const isNewTask = lane === "requests" && type === "send_task";
      try {
        this.#room.take(peerId, bytes.length, { share: isNewTask ? 1 : 2 });
      } catch (error) {
        this.giveUp(entries.slice(0, index));
        throw error;
      }
    }
  }

  /** What waits for all peers. */
  get load(): { readonly count: number; readonly bytes: number } {
    return this.#room.total;
  }

  /** When the envelope was committed that has waited longest, in milliseconds since the Unix epoch; of many lanes not all are asked. */
  async oldestQueuedAtMs(): Promise<number | undefined> {
    const lanes = [...this.#lanes.keys()].slice(0, MAX_ASKED_LANES).map(toLaneName);
    const firsts = await Promise.all(
      lanes.map((lane) => this.#deps.store.outbox(lane, { limit: 1, after: 0 })),
    );
    const times = firsts.flatMap(([first]) => first?.queuedAtMs ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Entries that were counted are not committed. */
  giveUp(entries: readonly OutboxEntry[]): void {
    for (const { peerId, bytes } of entries) this.#room.remove(peerId, { count: 1, bytes: bytes.length });
  }

  /** Takes charge of counted entries that have just been committed, in order. */
  enqueue(entries: readonly OutboxEntry[]): void {
    for (const entry of entries) this.#lane(entry).enqueue(entry);
  }

  /** Entries of which it is not known whether they were committed. */
  lookFor(entries: readonly OutboxEntry[]): void {
    for (const entry of entries) this.#lane(entry).lookInStore(entry.sequence);
  }

  /**
   * Holds the request of a task back for good, unless the peer may have it: it has left already, and the answer was not just
   * that there is no room. It will not be sent then, and is the caller's to remove from the store and to {@link forget}, or else to {@link release}.
   * @param options.evenSent also when the peer has it: it is not sent again. Default false.
   */
  async withdraw(
    { peerId, taskId }: Pick<OutboxEntry, "peerId" | "taskId">,
    sequence: number,
    { evenSent = false } = {},
  ): Promise<OutboxEntry | undefined> {
    const name = { peerId, lane: "requests" } as const;
    if (sequence <= this.#firstSequence && !evenSent) return undefined;
    if (this.#lanes.get(laneKey(name))?.withdraw({ taskId, sequence }, { evenSent }) !== true) {
      return undefined;
    }
    try {
      const [entry] = await this.#deps.store.outbox(name, { limit: 1, after: sequence - 1 });
      if (entry?.sequence === sequence && entry.taskId === taskId) return entry;
    } catch (error) {
      this.release(peerId, sequence);
      throw error;
    }
    this.release(peerId, sequence);
    return undefined;
  }

  /** Gives back a request that was withdrawn. */
  release(peerId: string, sequence: number): void {
    this.#lane({ peerId, lane: "requests" }).release(sequence);
  }

  /** A withdrawn request is out of the store. */
  forget(entry: OutboxEntry): void {
    this.#room.remove(entry.peerId, { count: 1, bytes: entry.bytes.length });
    this.#lanes.get(laneKey(entry))?.forget(entry.sequence);
  }

  /**
   * Where the next envelope of a task goes whose request has this sequence: right behind it while it may wait, so that it
   * neither overtakes it nor waits for the requests of other tasks.
   */
  async placeBehind(
    { peerId, taskId }: Pick<OutboxEntry, "peerId" | "taskId">,
    sequence: number,
  ): Promise<OutboxPlace> {
    const name = { peerId, lane: "requests" } as const;
    const mayWait = this.#lanes.get(laneKey(name))?.mayHold({ taskId, sequence }) === true;
    const [request, next] = mayWait
      ? await this.#deps.store.outbox(name, { limit: 2, after: sequence - 1 })
      : [];
    if (request?.sequence !== sequence) return { lane: "turns" };
    // The sequence behind a request is left free; requests of an earlier version did not leave it.
    const isTaken = next?.sequence === sequence + 1;
    return { lane: "requests", ...(!isTaken && { sequence: sequence + 1 }) };
  }

  /** From time to time gives up what is sent and never answered, until `signal` fires. */
  async expire(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!signal.aborted) {
      await clock.sleep(EXPIRY_STEP_MS, signal).catch(() => {
        // Woken by the signal: the loop ends.
      });
      for (const lane of this.#lanes.values()) lane.expire(clock.now());
    }
  }

  /** A report of `peerId` on a task: it has the task, even if its answer to it was lost. */
  taskIsThere(peerId: string, taskId: string): void {
    this.#lanes.get(laneKey({ peerId, lane: "requests" }))?.taskIsThere(taskId);
  }

  /** What waits for all peers is tried now. */
  retryNow(): void {
    for (const lane of this.#lanes.values()) lane.retryNow();
  }

  /** The peer is there: what waits for it is tried now. */
  peerConnected(peerId: string): void {
    for (const lane of LANES) this.#lanes.get(laneKey({ peerId, lane }))?.retryNow();
  }

  /** Stops trying after `flushMs`, or when all who are connected have what is for them; what is undelivered stays in the store. */
  async close(): Promise<void> {
    await this.#flush();
    this.#stop.abort(new DOMException("Delivery is closing", "AbortError"));
    for (const lane of this.#lanes.values()) lane.stop();
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    await this.#removal.idle();
  }

  async #flush(): Promise<void> {
    const { transport, clock } = this.#deps;
    const lanes = [...this.#lanes].filter(([key]) => transport.isConnected(toLaneName(key).peerId));
    if (this.#flushMs <= 0 || lanes.length === 0) return;
    const over = new AbortController();
    const late = clock.sleep(this.#flushMs, over.signal).catch(() => {
      // Woken by the signal: there is nothing to wait for any more.
    });
    await Promise.race([late, Promise.all(lanes.map(([, lane]) => lane.rest()))]);
    over.abort();
  }

  #lane({ peerId, lane: name }: LaneName): DeliveryLane {
    const key = laneKey({ peerId, lane: name });
    const known = this.#lanes.get(key);
    if (known !== undefined) return known;
    const onDelivered = (entry: OutboxEntry) => {
      const { sequence, bytes: { length } } = entry; // its bytes are not kept until it is removed
      this.#removal.add(entry, () => {
        this.#room.remove(peerId, { count: 1, bytes: length });
        lane.forget(sequence);
      });
    };
    const onEmpty = () => this.#lanes.delete(key);
    const lane = new DeliveryLane({
      ...this.#deps,
      onDelivered,
      onEmpty,
      isOfEarlierRun: (sequence) => sequence <= this.#firstSequence,
      signal: this.#stop.signal,
    }, {
      ...this.#options,
      peerId,
      lane: name,
    });
    this.#lanes.set(key, lane);
    // Not before the caller has put something in: an empty lane ends at once.
    const running = Promise.resolve().then(() => lane.run()).catch((error) => {
      this.#deps.logger.error("Delivery stopped unexpectedly", { peer: peerId, error });
    }).finally(() => this.#running.delete(running));
    this.#running.add(running);
    return lane;
  }
}

function laneKey({ peerId, lane }: LaneName): string {
  return `${lane} ${peerId}`;
}

/** The lane of a {@link laneKey}. */
function toLaneName(key: string): LaneName {
  const space = key.indexOf(" ");
  return { lane: key.slice(0, space) as OutboxLane, peerId: key.slice(space + 1) };
}
