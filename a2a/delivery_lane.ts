import type { Clock } from "../core/clock.ts";
import { CodedError, errorMessage } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { OutboxEntry } from "./model.ts";
import { OutboxHolds } from "./outbox_holds.ts";
import { Pause } from "./pause.ts";
import type { Answer, EnvelopeTransport, TaskStore } from "./ports.ts";

/** Timing of the tries. */
export interface LaneOptions {
  /**
   * Wait for an answer of a 1.0 peer before sending again, in milliseconds; doubles with each try. A lane tells by itself when
   * it is dead. Default 5,000.
   */
  answerTimeoutMs: number;
  /** First pause after a failed try, in milliseconds; doubles with each try, with jitter. Default 500. */
  backoffMs: number;
  /** Longest pause and longest wait, in milliseconds. Default 60,000. */
  maxBackoffMs: number;
}

export interface DeliveryDeps {
  store: Pick<TaskStore, "outbox" | "outboxPeers" | "removeOutbox">;
  transport: EnvelopeTransport;
  clock: Clock;
  logger: Logger;
  /** Called when an envelope's time is over, before it is dropped. `mayBeThere`: it may have been sent. */
  onExpired: (entry: OutboxEntry, options: { mayBeThere: boolean }) => Promise<void>;
  /** Called when the peer cannot take an envelope now; answers whether it is not to be sent any more. */
  onBusy: (entry: OutboxEntry, options: { mayBeThere: boolean }) => Promise<boolean>;
  /** Called when the peer could not be reached. */
  onUnreachable?: (peerId: string) => void;
  /** Called when an envelope was judged for good, before it is dropped. */
  onAnswered: (entry: OutboxEntry, answer: Answer) => Promise<void>;
}

export interface DeliveryLaneDeps extends Omit<DeliveryDeps, "store"> {
  store: Pick<TaskStore, "outbox">;
  /** The entry is done with: it can leave the store, and {@link DeliveryLane.forget} is called then. */
  onDelivered: (entry: OutboxEntry) => void;
  /** Nothing waits any more: the lane ends, and must not be given anything from now on. */
  onEmpty: () => void;
  /** Whether an entry is of an earlier run, of which nobody knows what it sent. */
  isOfEarlierRun: (sequence: number) => boolean;
  signal: AbortSignal;
}

/** Entries kept in memory; what exceeds this stays in the store until there is room. */
const MAX_ENTRIES = 256;
const MAX_BYTES = 32 * 1024 * 1024;
/** Longest pause after a peer had no room: it is there, and room comes with every task that ends. */
const MAX_BUSY_MS = 4_000;
/** Longest time for which one task is held back. */
const MAX_HOLD_MS = 30_000;
/** Entries looked at while the peer cannot be reached, to see whether their time is over. */
const ENTRIES_UNREACHED = 16;

type LaneName = Pick<OutboxEntry, "peerId" | "lane">;

/** The envelopes of one lane to a peer, from the first try to the last. */
export class DeliveryLane {
  readonly #deps: DeliveryLaneDeps;
  readonly #options: LaneOptions & LaneName;
  /** By sequence. */
  #waiting: OutboxEntry[] = [];
  #waitingBytes = 0;
  readonly #inFlight = new Map<number, OutboxEntry>();
  #inFlightBytes = 0;
  /** What is done with answers and expired entries. A send that is still unanswered at the end is left alone. */
  readonly #settling = new Set<Promise<void>>();
  /** Entries in flight whose try is over. */
  readonly #settled = new Set<number>();
  /** Tasks with an envelope in flight: the next one of such a task has to wait. */
  readonly #busyTasks = new Set<string>();
  /** Sequences waiting, in flight or delivered and still in the store. */
  readonly #known = new Set<number>();
  readonly #withdrawn = new Set<number>();
  /** The store may hold entries that are not known here, of this sequence or a higher one; `Infinity`: it holds none. */
  #unreadFrom = Infinity;
  /** Where the store is being read from; `Infinity` while it is not. */
  #readingFrom = Infinity;
  /** Envelopes that the peer may have, or that are given up: not those that were only ever answered busy. */
  readonly #gone = new Set<number>();
  readonly #tries = new Map<number, number>();
  readonly #arrivals = new Map<string, () => void>();
  #failures = 0;
  /** Envelopes sent at once, fewer than the peer's window after it was busy. */
  #pace = Infinity;
  #connecting = false;
  readonly #pause: Pause;
  /** Tasks of which the peer cannot take an envelope now, or whose answer could not be kept here. */
  readonly #holds: OutboxHolds;
  wake: () => void = () => {};
  /** Who waits for {@link rest}. */
  readonly #resting: (() => void)[] = [];

  constructor(deps: DeliveryLaneDeps, options: LaneOptions & LaneName) {
    this.#deps = deps;
    this.#options = options;
    this.#pause = new Pause(deps.clock, () => this.wake());
    this.#holds = new OutboxHolds({ clock: deps.clock, onOver: (sequence) => this.lookInStore(sequence) });
  }

  enqueue(entry: OutboxEntry): void {
    if (this.#hasUnread || this.#isReading || this.#isFull) return this.lookInStore(entry.sequence);
    this.#take(entry);
    this.wake();
  }

  /** There may be entries in the store that are not known here, from `sequence` on. */
  lookInStore(sequence: number): void {
    this.#unreadFrom = Math.min(this.#unreadFrom, sequence);
    this.wake();
  }

  /** See `Delivery.withdraw`. */
  withdraw(request: Pick<OutboxEntry, "taskId" | "sequence">, { evenSent }: { evenSent: boolean }): boolean {
    const { sequence } = request;
    if (evenSent) {
      const entry = this.#inFlight.get(sequence);
      if (entry === undefined ? !this.mayHold(request) : !this.#isInFlight(entry)) return false;
      if (entry !== undefined) this.#settle(entry, Promise.resolve());
    } else if (this.#inFlight.has(sequence) || this.#gone.has(sequence)) return false;
    this.#withdrawn.add(sequence);
    this.#setWaiting(this.#waiting.filter((entry) => entry.sequence !== sequence));
    return true;
  }

  /** See `Delivery.release`. */
  release(sequence: number): void {
    this.#withdrawn.delete(sequence);
    this.#known.delete(sequence);
    this.lookInStore(sequence);
  }

  /** The entry is out of the store. */
  forget(sequence: number): void {
    this.#withdrawn.delete(sequence);
    this.#known.delete(sequence);
    this.#tries.delete(sequence);
    this.#gone.delete(sequence);
    this.wake();
  }

  /** Whether the envelope may still have to be delivered. */
  mayHold({ taskId, sequence }: Pick<OutboxEntry, "taskId" | "sequence">): boolean {
    if (this.#inFlight.has(sequence)) return true;
    // Else what is known and does not wait was delivered.
    if (this.#known.has(sequence)) return this.#waiting.some((entry) => entry.sequence === sequence);
    return sequence >= Math.min(this.#unreadFrom, this.#readingFrom) || this.#withdrawn.has(sequence) ||
      this.#holds.has(taskId);
  }

  /** See `Delivery.taskIsThere`. */
  taskIsThere(taskId: string): void {
    this.#arrivals.get(taskId)?.();
  }

  /** Ends the pause, and whatever is held back. */
  retryNow(): void {
    this.#pause.end();
    this.#holds.end();
  }

  /** Comes back when nothing is under way: all is delivered, or waits for a peer that is not there or for a better time. */
  async rest(): Promise<void> {
    const rested = new Promise<void>((resolve) => this.#resting.push(resolve));
    this.wake();
    await rested;
  }

  /** The signal has fired: {@link run} ends. */
  stop(): void {
    this.retryNow();
    this.wake();
  }

  /** Delivers until nothing waits any more or the signal fires. */
  async run(): Promise<void> {
    const { signal } = this.#deps;
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => this.wake = resolve);
      if (!this.#pause.active && this.#needsRefill) await this.#refill();
      this.#startDeliveries();
      if (this.#inFlight.size === 0 || this.#isEmpty) this.#tellRest();
      if (this.#isEmpty) {
        this.#pause.end();
        return this.#deps.onEmpty();
      }
      await woken;
    }
    this.#tellRest();
    await Promise.all(this.#settling);
    this.#holds.end(); // no timer is left behind
  }

  #tellRest(): void {
    for (const told of this.#resting.splice(0)) told();
  }

  get #isEmpty(): boolean {
    return this.#known.size + this.#withdrawn.size === 0 && !this.#hasUnread && !this.#connecting &&
      !this.#holds.active;
  }

  get #hasUnread(): boolean {
    return this.#unreadFrom !== Infinity;
  }

  get #isReading(): boolean {
    return this.#readingFrom !== Infinity;
  }

  /** Whether what is to go next lies in the store, and there is room for it. */
  get #needsRefill(): boolean {
    if (!this.#hasUnread || (this.#waiting[0]?.sequence ?? Infinity) < this.#unreadFrom) return false;
    return this.#inFlight.size === 0 || !this.#isFullOfBytes;
  }

  get #isFull(): boolean {
    return this.#waiting.length >= MAX_ENTRIES || this.#isFullOfBytes;
  }

  get #isFullOfBytes(): boolean {
    return this.#waitingBytes + this.#inFlightBytes >= MAX_BYTES;
  }

  #setWaiting(entries: OutboxEntry[]): void {
    this.#waiting = entries;
    this.#waitingBytes = entries.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  #take(entry: OutboxEntry): void {
    if (this.#isLeftOut(entry)) return;
    this.#known.add(entry.sequence);
    this.#putBack(entry);
  }

  /** Whether the entry is here already, or not to be sent now. */
  #isLeftOut({ sequence, taskId }: OutboxEntry): boolean {
    return this.#known.has(sequence) || this.#withdrawn.has(sequence) || this.#holds.has(taskId);
  }

  #putBack(entry: OutboxEntry): void {
    const place = this.#waiting.findLastIndex(({ sequence }) => sequence < entry.sequence);
    this.#waiting.splice(place + 1, 0, entry);
    this.#waitingBytes += entry.bytes.length;
  }

  async #refill(): Promise<void> {
    const { store, transport, logger } = this.#deps;
    const { peerId, lane, backoffMs } = this.#options;
    const limit = transport.isConnected(peerId) ? MAX_ENTRIES : ENTRIES_UNREACHED;
    const from = this.#unreadFrom;
    this.#readingFrom = from;
    this.#unreadFrom = Infinity; // what is committed meanwhile sets it again
    try {
      const page = await store.outbox({ peerId, lane }, { limit, after: from - 1 });
      for (const entry of page) {
        // What failed meanwhile went back to the store and comes before this.
        if (entry.sequence >= this.#unreadFrom) break;
        if (this.#isLeftOut(entry)) continue;
        const isNext = entry.sequence < (this.#waiting[0]?.sequence ?? Infinity);
        if (this.#isFull && !isNext) {
          this.lookInStore(entry.sequence);
          break;
        }
        this.#take(entry);
      }
      const last = page.at(-1);
      if (last !== undefined) this.lookInStore(last.sequence + 1);
    } catch (error) {
      this.lookInStore(from);
      logger.error("Could not read the outbox; trying again", { peer: peerId, error });
      this.#pause.begin(backoffMs);
    } finally {
      this.#readingFrom = Infinity;
    }
  }

  #startDeliveries(): void {
    const { clock, transport } = this.#deps;
    const { peerId } = this.#options;
    if (this.#pause.active || this.#waiting.length === 0) return;
    const connected = transport.isConnected(peerId);
    const window = connected ? transport.windowOf(peerId) : 0;
    const nowMs = clock.now();
    const left: OutboxEntry[] = [];
    for (const entry of this.#waiting) {
      const expired = nowMs >= entry.expiresAtMs;
      // Only new tasks need room at the peer.
      const most = entry.type === "send_task" ? Math.min(window, this.#pace) : window;
      const mustWait = this.#busyTasks.has(entry.taskId) || entry.sequence >= this.#unreadFrom ||
        (!expired && this.#inFlight.size >= most);
      if (mustWait) left.push(entry);
      else this.#start(entry, { expired });
    }
    this.#setWaiting(left);
    if (left.length > 0 && !connected) this.#connect();
  }

  #connect(): void {
    if (this.#connecting) return;
    this.#connecting = true;
    const { transport, signal } = this.#deps;
    const { peerId } = this.#options;
    transport.connect(peerId, { signal }).then(() => {
      if (!transport.isConnected(peerId)) throw new CodedError("unavailable", `${peerId} is gone again`);
    }).catch((error) => {
      this.#fail(error);
      if (!signal.aborted) this.#deps.onUnreachable?.(peerId);
    }).finally(() => {
      this.#connecting = false;
      this.wake();
    });
  }

  /** Nothing gets through: it is tried again later. What waits goes back to the store meanwhile. */
  #fail(error: unknown): void {
    const { logger, signal, transport } = this.#deps;
    const { peerId } = this.#options;
    if (signal.aborted || this.#pause.active) return;
    logger.debug("Not delivered; trying again", { peer: peerId, error: errorMessage(error) });
    const isBusy = error instanceof CodedError && error.code === "resource_exhausted";
    // A way that breaks while the peer stays connected has another one beside it.
    const isOtherWay = this.#failures === 0 && !isBusy && transport.isConnected(peerId);
    const delayMs = this.#delayMs(this.#failures++, isBusy ? MAX_BUSY_MS : Infinity);
    this.#pause.begin(isOtherWay ? 0 : delayMs);
    const [first] = this.#waiting;
    if (first === undefined) return;
    for (const { sequence } of this.#waiting) this.#known.delete(sequence);
    this.#setWaiting([]);
    this.lookInStore(first.sequence);
  }

  #start(entry: OutboxEntry, { expired }: { expired: boolean }): void {
    this.#busyTasks.add(entry.taskId);
    this.#inFlight.set(entry.sequence, entry);
    this.#inFlightBytes += entry.bytes.length;
    const mayBeThere = this.#gone.has(entry.sequence) || this.#deps.isOfEarlierRun(entry.sequence);
    if (expired) {
      // Only of a new task is it in doubt.
      const isThere = this.#options.lane !== "requests";
      return this.#settle(entry, this.#expire(entry, { mayBeThere: mayBeThere || isThere }));
    }
    this.#gone.add(entry.sequence);
    this.#send(entry).then((answer) => {
      if (!this.#isInFlight(entry)) return;
      if (answer?.outcome === "busy" && !mayBeThere) this.#gone.delete(entry.sequence);
      this.#settle(entry, this.#judge(entry, answer, { mayBeThere }));
    }, (error) => {
      if (!this.#isInFlight(entry)) return;
      this.#again(entry, error);
      this.#settle(entry, Promise.resolve());
    });
  }

  /** Whether the try is still open: its time may have run out before its answer came. */
  #isInFlight({ sequence }: OutboxEntry): boolean {
    return this.#inFlight.has(sequence) && !this.#settled.has(sequence);
  }

  /** Gives up what was sent and not answered before its time was over; what waits is looked at too. */
  expire(nowMs: number): void {
    for (const entry of this.#inFlight.values()) {
      if (nowMs < entry.expiresAtMs || !this.#isInFlight(entry)) continue;
      this.#settle(entry, this.#expire(entry, { mayBeThere: true }));
    }
    this.wake();
  }

  /** Waits for what ends a try; if it fails, the task is held back. */
  #settle(entry: OutboxEntry, work: Promise<void>): void {
    this.#settled.add(entry.sequence);
    const settling = work.catch((error) => this.#holdBack(entry, error)).finally(() => {
      this.#settled.delete(entry.sequence);
      this.#inFlight.delete(entry.sequence);
      this.#inFlightBytes -= entry.bytes.length;
      this.#busyTasks.delete(entry.taskId);
      this.#settling.delete(settling);
      this.wake();
    });
    this.#settling.add(settling);
  }

  async #expire(entry: OutboxEntry, options: { mayBeThere: boolean }): Promise<void> {
    await this.#deps.onExpired(entry, options);
    this.#done(entry);
  }

  #done(entry: OutboxEntry): void {
    this.#gone.add(entry.sequence);
    this.#holds.clear(entry.taskId);
    this.#deps.onDelivered(entry);
  }

  /** Does what the answer says; undefined: none came in time. */
  async #judge(
    entry: OutboxEntry,
    answer: Answer | undefined,
    options: { mayBeThere: boolean },
  ): Promise<void> {
    if (this.#deps.signal.aborted) return;
    if (answer === undefined) {
      this.#tries.set(entry.sequence, (this.#tries.get(entry.sequence) ?? 0) + 1);
      return this.#putBack(entry);
    }
    if (answer.outcome === "busy") return await this.#judgeBusy(entry, answer.reason, options);
    this.#failures = 0;
    this.#pace *= 2;
    await this.#deps.onAnswered(entry, answer);
    this.#done(entry);
  }

  async #judgeBusy(
    entry: OutboxEntry,
    reason: string,
    options: { mayBeThere: boolean },
  ): Promise<void> {
    if (await this.#deps.onBusy(entry, options)) return this.#done(entry);
    const error = new CodedError("resource_exhausted", `The peer cannot take it now: ${reason}`);
    const isNewTask = this.#options.lane === "requests" && entry.type === "send_task";
    if (!isNewTask) return this.#holdBack(entry, error);
    this.#pace = 1; // the first one has to go first
    this.#again(entry, error);
  }

  #again(entry: OutboxEntry, error: unknown): void {
    this.#putBack(entry);
    this.#fail(error);
  }

  /** The envelopes of this task stay in the store for a while; the others of the lane go on. */
  #holdBack(entry: OutboxEntry, error: unknown): void {
    const { logger, signal } = this.#deps;
    const { peerId } = this.#options;
    const { taskId, sequence } = entry;
    if (signal.aborted) return;
    const isHeld = this.#holds.hold(taskId, sequence, (earlier) => this.#delayMs(earlier, MAX_HOLD_MS));
    if (!isHeld) return this.#again(entry, error);
    logger.debug("Held back; trying again", { peer: peerId, task: taskId, error: errorMessage(error) });
    const held = [entry, ...this.#waiting.filter((one) => one.taskId === taskId)];
    for (const one of held) this.#known.delete(one.sequence);
    this.#setWaiting(this.#waiting.filter((one) => one.taskId !== taskId));
  }

  /** Sends once and waits for the answer; undefined when none came in time. */
  async #send(entry: OutboxEntry): Promise<Answer | undefined> {
    const { transport, clock, signal } = this.#deps;
    const { peerId, sequence, taskId, type } = entry;
    if (transport.framingOf(peerId) === "2.0") return await transport.send(peerId, entry);
    const { answerTimeoutMs, maxBackoffMs } = this.#options;
    const waitMs = Math.min(answerTimeoutMs * 2 ** (this.#tries.get(sequence) ?? 0), maxBackoffMs);
    const over = new AbortController();
    const isThere = new Promise<Answer>((resolve) => {
      if (type === "send_task") this.#arrivals.set(taskId, () => resolve({ outcome: "taken" }));
    });
    const ended = AbortSignal.any([over.signal, signal]);
    try {
      const sent = transport.send(peerId, entry, { signal: ended });
      sent.catch(() => {
        // Whoever loses the race is not listened to.
      });
      const timeout = clock.sleep(waitMs, ended).then(() => undefined);
      timeout.catch(() => {
        // Likewise.
      });
      return await Promise.race([sent, isThere, timeout]);
    } finally {
      over.abort();
      if (type === "send_task") this.#arrivals.delete(taskId);
    }
  }

  #delayMs(failures: number, mostMs: number): number {
    const { backoffMs, maxBackoffMs } = this.#options;
    const fullMs = Math.min(backoffMs * 2 ** failures, maxBackoffMs, mostMs);
    return fullMs / 2 + Math.random() * fullMs / 2;
  }
}
