import type { Clock } from "../core/clock.ts";
import { CodedError } from "../core/errors.ts";
import { Claims, type ClaimsDeps } from "./claims.ts";
import type { Task, TaskRecord } from "./model.ts";
import { isTerminal } from "./state_machine.ts";
import { sizeOf } from "./task_size.ts";

/** How many received tasks may be unfinished at once, and how long a claim lasts. */
export interface OfferLimits {
  /** Of all peers. */
  total: number;
  perPeer: number;
  /** Most bytes of messages in those of one peer. */
  bytesPerPeer: number;
  /** Most bytes of messages in all. */
  bytesTotal: number;
  /** How long a claim lasts without renewal, in milliseconds. */
  leaseMs: number;
}

/** A received task for an agent. */
export interface Offer {
  readonly taskId: string;
  /** The claim under which an exclusive subscriber has it; empty for the others. */
  readonly claimId: string;
}

/** How a subscriber gets tasks. */
export interface OfferOptions {
  /** Each task goes to one of the exclusive subscribers only. Default false. */
  exclusive?: boolean;
  /** Most unfinished tasks claimed at once by this exclusive subscriber. Default 16. */
  maxClaims?: number;
  signal?: AbortSignal | undefined;
}

interface OpenTask {
  readonly peerId: string;
  readonly working: boolean;
  readonly awaitsAgent: boolean;
  /** Of its messages. */
  readonly bytes: number;
}

interface Subscriber {
  readonly worker: symbol;
  readonly exclusive: boolean;
  /**
   * Tasks it has not been given yet, and whether each was being worked on by an agent that is gone; of an exclusive subscriber,
   * only tasks it has claimed already.
   */
  readonly pending: Map<string, boolean>;
  wake: () => void;
}

const MAX_SUBSCRIBERS = 1_000;
/** Peers whose order is kept while there is no room. */
const MAX_TURNS = 1_000;
/** How long later tasks wait for one that was refused. Peers of this program try again within 4 s. */
const TURN_MS = 15_000;

/** The received tasks that have not ended, within bounds, and how they get to the agents of this node. */
export class Offers {
  readonly claims: Claims;
  readonly #clock: Clock;
  readonly #limits: OfferLimits;
  /** In the order in which they came. */
  readonly #open = new Map<string, OpenTask>();
  readonly #byPeer = new Map<string, { readonly count: number; readonly bytes: number }>();
  /** Of messages in all. */
  #bytes = 0;
  readonly #subscribers = new Set<Subscriber>();
  /** The task of each peer that was refused for want of room and comes before its others. */
  readonly #turns = new Map<string, { readonly taskId: string; readonly untilMs: number }>();
  /** Tasks an exclusive subscriber may have. */
  readonly #unclaimed = new Set<string>();
  #closed: CodedError | undefined;
  /** When the last subscriber left, in milliseconds since the Unix epoch; undefined while there is one. */
  agentGoneSinceMs: number | undefined;

  constructor(deps: ClaimsDeps, limits: OfferLimits) {
    this.#clock = deps.clock;
    this.#limits = limits;
    this.agentGoneSinceMs = deps.clock.now();
    this.claims = new Claims(deps, { leaseMs: limits.leaseMs });
  }

  /** Takes note of a received task as it is now, and offers it when it has begun to wait for an agent. */
  update({ task, awaitsAgent, claimId }: TaskRecord): void {
    const { taskId, peerId, direction, status } = task;
    if (direction !== "inbound") return;
    const before = this.#open.get(taskId);
    if (isTerminal(status)) return this.#forget(taskId, peerId);
    this.#keep(taskId, { peerId, awaitsAgent, working: status === "working", bytes: sizeOf(task) });
    if (claimId !== "") this.claims.keep(claimId, taskId);
    if (!awaitsAgent) this.#unclaimed.delete(taskId);
    else if (before?.awaitsAgent !== true) this.#offer(taskId);
  }

  /** Received tasks that have not ended. */
  get size(): number {
    return this.#open.size;
  }

  /** Whether the task is here and has not ended. */
  has(taskId: string): boolean {
    return this.#open.has(taskId);
  }

  /** Unfinished tasks of a peer. */
  countOf(peerId: string): number {
    return this.#byPeer.get(peerId)?.count ?? 0;
  }

  /**
   * Counts a task that is about to be written; {@link giveUp} when it is not, after all. Refuses it while there are too many,
   * and then the later ones of the same peer until it comes again, so that they keep their order.
   * @throws CodedError `resource_exhausted`.
   */
  reserve({ taskId, peerId }: Pick<Task, "taskId" | "peerId">, bytes: number): void {
    const nowMs = this.#clock.now();
    const turn = this.#turns.get(peerId);
    if (turn !== undefined && turn.taskId !== taskId && nowMs < turn.untilMs) {
      throw new CodedError("resource_exhausted", "an earlier task of this peer waits for room");
    }
    this.#turns.delete(peerId);
    const { total, perPeer, bytesPerPeer, bytesTotal } = this.#limits;
    const ofPeer = this.#byPeer.get(peerId) ?? { count: 0, bytes: 0 };
    // A lone task of a peer is small enough, whatever the bound; so is a lone one of all.
    const fits = (ofPeer.count === 0 || ofPeer.bytes + bytes <= bytesPerPeer) &&
      (this.#open.size === 0 || this.#bytes + bytes <= bytesTotal);
    if (this.#open.size < total && ofPeer.count < perPeer && fits) {
      return this.#keep(taskId, { peerId, awaitsAgent: false, working: false, bytes });
    }
    const [oldest] = this.#turns.keys();
    if (oldest !== undefined && this.#turns.size >= MAX_TURNS) this.#turns.delete(oldest);
    this.#turns.set(peerId, { taskId, untilMs: nowMs + TURN_MS });
    throw new CodedError(
      "resource_exhausted",
      `${ofPeer.count} received tasks of this peer (${ofPeer.bytes} bytes) and ${this.#open.size} (${this.#bytes} bytes) ` +
        "in all are unfinished",
    );
  }

  /** The task that was counted has not been written. */
  giveUp(taskId: string, peerId: string): void {
    this.#forget(taskId, peerId);
  }

  /** The next one may have the task, when the claim on it has lapsed. */
  releaseLapsed(taskId: string): void {
    if (!this.claims.hasLapsed(taskId)) return;
    this.claims.release(taskId);
    if (this.#open.get(taskId)?.awaitsAgent) this.#offer(taskId);
  }

  /**
   * The tasks that wait for an agent, then new ones as they come, until `signal` fires. The first subscriber after all others
   * have gone is also offered those that were being worked on. @throws CodedError `resource_exhausted`, `cancelled`.
   */
  async *subscribe(options: OfferOptions = {}): AsyncGenerator<Offer> {
    const { exclusive = false, signal = new AbortController().signal, maxClaims = 16 } = options;
    const subscriber = this.#join(exclusive, maxClaims);
    const onAbort = () => subscriber.wake();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      while (!signal.aborted) {
        if (this.#closed !== undefined) throw this.#closed;
        const woken = new Promise<void>((resolve) => subscriber.wake = resolve);
        const offer = this.#takePending(subscriber) ?? (exclusive ? this.#claimNext(subscriber) : undefined);
        if (offer === undefined) await woken;
        else yield offer;
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.claims.leave(subscriber.worker);
      this.#subscribers.delete(subscriber);
      if (this.#subscribers.size === 0) this.agentGoneSinceMs = this.#clock.now();
    }
  }

  /** Ends all subscriptions with `error`. */
  close(error: CodedError): void {
    this.#closed = error;
    for (const { wake } of this.#subscribers) wake();
  }

  #join(exclusive: boolean, maxClaims: number): Subscriber {
    if (this.#subscribers.size >= MAX_SUBSCRIBERS) {
      throw new CodedError(
        "resource_exhausted",
        `Cannot take tasks: ${this.#subscribers.size} agents do so already`,
      );
    }
    const isFirst = this.#subscribers.size === 0;
    const pending = new Map<string, boolean>();
    for (const [taskId, { awaitsAgent, working }] of this.#open) {
      const isOrphan = isFirst && working && !awaitsAgent;
      if (this.claims.isClaimed(taskId) || !(awaitsAgent || isOrphan)) continue;
      if (exclusive) this.#unclaimed.add(taskId);
      else pending.set(taskId, isOrphan);
    }
    const worker = this.claims.join(maxClaims, () => subscriber.wake());
    const subscriber: Subscriber = { worker, exclusive, pending, wake: () => {} };
    this.#subscribers.add(subscriber);
    this.agentGoneSinceMs = undefined;
    return subscriber;
  }

  #takePending({ pending, worker, exclusive }: Subscriber): Offer | undefined {
    for (const [taskId, isOrphan] of pending) {
      pending.delete(taskId);
      const wanted = isOrphan || this.#open.get(taskId)?.awaitsAgent === true;
      const isOwn = exclusive ? this.claims.workerOf(taskId) === worker : !this.claims.isClaimed(taskId);
      if (wanted && isOwn) return { taskId, claimId: this.claims.claimOf(taskId) };
    }
    return undefined;
  }

  #claimNext({ worker }: Subscriber): Offer | undefined {
    const [taskId] = this.#unclaimed;
    if (taskId === undefined || !this.claims.hasRoom(worker)) return undefined;
    this.#unclaimed.delete(taskId);
    return { taskId, claimId: this.claims.claim(taskId, worker) };
  }

  /** A claimed task goes back to its worker; when that is gone, or its time is up, the claim is over. */
  #offer(taskId: string): void {
    if (this.claims.isClaimed(taskId)) {
      const worker = this.claims.workerOf(taskId);
      const holder = [...this.#subscribers].find((one) => one.worker === worker);
      if (holder !== undefined && !this.claims.hasLapsed(taskId)) {
        this.claims.renewFor(taskId); // nobody renewed it while the task waited for its answer
        holder.pending.set(taskId, false);
        return holder.wake();
      }
      this.claims.release(taskId);
    }
    this.#unclaimed.add(taskId);
    for (const { exclusive, pending, wake } of this.#subscribers) {
      if (!exclusive) pending.set(taskId, false);
      wake();
    }
  }

  #forget(taskId: string, peerId: string): void {
    this.claims.release(taskId);
    this.#unclaimed.delete(taskId);
    for (const { pending } of this.#subscribers) pending.delete(taskId);
    const open = this.#open.get(taskId);
    if (!this.#open.delete(taskId)) return;
    this.#count(peerId, { count: -1, bytes: -(open?.bytes ?? 0) });
  }

  #keep(taskId: string, open: OpenTask): void {
    const before = this.#open.get(taskId);
    this.#open.set(taskId, open);
    this.#count(open.peerId, {
      count: before === undefined ? 1 : 0,
      bytes: open.bytes - (before?.bytes ?? 0),
    });
  }

  #count(peerId: string, by: { count: number; bytes: number }): void {
    const { count, bytes } = this.#byPeer.get(peerId) ?? { count: 0, bytes: 0 };
    this.#bytes += by.bytes;
    if (count + by.count > 0) this.#byPeer.set(peerId, { count: count + by.count, bytes: bytes + by.bytes });
    else this.#byPeer.delete(peerId);
  }
}
