import type { Clock } from "../core/clock.ts";
import { CodedError } from "../core/errors.ts";
import { type AgentRole, AgentRoster, type TaskForAgent } from "./agent_roster.ts";
import { Claims, type ClaimsDeps, COMEBACK_MS } from "./claims.ts";
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
  /** What it is for: each task goes to one of the agents that are for it. Default: every task. */
  role?: AgentRole | undefined;
  signal?: AbortSignal | undefined;
}

/** What is kept of a task. */
interface OpenState {
  readonly peerId: string;
  readonly working: boolean;
  readonly awaitsAgent: boolean;
  /** Of its messages. */
  readonly bytes: number;
  readonly skillId: string;
}

interface OpenTask extends OpenState, TaskForAgent {
  agentId: string;
  /** Subscribers that are there and have been given it, without a claim. */
  readonly takers: Set<Subscriber>;
}

interface Subscriber {
  readonly worker: symbol;
  readonly role: AgentRole | undefined;
  /** Unfinished tasks that it has been given. */
  load: number;
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
  readonly #roster = new AgentRoster();
  #isStarted = false;
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
    const onTick = () => {
      if (this.#roster.expire(this.#clock.now())) this.#assignAll();
    };
    this.claims = new Claims({ ...deps, onTick }, { leaseMs: limits.leaseMs });
  }

  /** The tasks of an earlier run are all here. They wait a moment for its agents, when those were several. */
  start(agentIds: readonly string[]): void {
    this.#isStarted = true;
    if (agentIds.length > 1) this.#roster.expect(agentIds, this.#clock.now() + COMEBACK_MS);
  }

  /** The agent will not come back: other agents may have its tasks. */
  forgetAgent(agentId: string): void {
    if (this.#roster.forget(agentId)) this.#assignAll();
  }

  /** Takes note of a received task as it is now, and offers it when it has begun to wait for an agent. */
  update({ task, awaitsAgent, claimId }: TaskRecord): void {
    const { taskId, peerId, direction, status } = task;
    if (direction !== "inbound") return;
    const wasOffered = this.#open.get(taskId)?.awaitsAgent === true;
    if (isTerminal(status)) return this.#forget(taskId, peerId);
    const working = status === "working";
    this.#keep(taskId, { peerId, awaitsAgent, working, bytes: sizeOf(task), skillId: task.targetSkillId });
    if (claimId !== "") this.claims.keep(claimId, taskId);
    if (!awaitsAgent) this.#unclaimed.delete(taskId);
    else if (!wasOffered) this.#offer(taskId);
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
      return this.#keep(taskId, { peerId, awaitsAgent: false, working: false, bytes, skillId: "" });
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
   * The tasks that wait for an agent, then new ones as they come, until `signal` fires; also those that were being worked on by
   * subscribers that have gone. @throws CodedError `resource_exhausted`, `cancelled`.
   */
  async *subscribe(options: OfferOptions = {}): AsyncGenerator<Offer> {
    const { exclusive = false, signal = new AbortController().signal, maxClaims = 16, role } = options;
    const subscriber = this.#join(exclusive, { maxClaims, role });
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
      this.#leave(subscriber);
      if (this.#subscribers.size === 0) this.agentGoneSinceMs = this.#clock.now();
    }
  }

  /** Ends all subscriptions with `error`. */
  close(error: CodedError): void {
    this.#closed = error;
    for (const { wake } of this.#subscribers) wake();
  }

  #join(
    exclusive: boolean,
    { maxClaims, role }: { maxClaims: number; role: AgentRole | undefined },
  ): Subscriber {
    if (this.#subscribers.size >= MAX_SUBSCRIBERS) {
      throw new CodedError(
        "resource_exhausted",
        `Cannot take tasks: ${this.#subscribers.size} agents do so already`,
      );
    }
    const worker = this.claims.join(maxClaims, () => subscriber.wake());
    const subscriber: Subscriber = {
      ...{ worker, role, exclusive, load: 0 },
      pending: new Map(),
      wake: () => {},
    };
    this.#subscribers.add(subscriber);
    if (role !== undefined) this.#roster.join(role);
    this.agentGoneSinceMs = undefined;
    for (const [taskId, open] of this.#open) {
      if (this.claims.isClaimed(taskId) || !this.#isWanted(open)) continue;
      if (exclusive) {
        if (holderOf(open) === undefined) this.#unclaimed.add(taskId);
      } else if (role === undefined) this.#give(taskId, open, subscriber);
    }
    if (role !== undefined && !exclusive) this.#assignAll();
    return subscriber;
  }

  #leave(subscriber: Subscriber): void {
    this.#subscribers.delete(subscriber);
    for (const { takers } of this.#open.values()) takers.delete(subscriber);
    const { role } = subscriber;
    // Waited for, as claims are; when the agent has subscribed anew already, it has its tasks at once.
    if (role !== undefined && !this.#roster.leave(role, this.#clock.now() + COMEBACK_MS)) this.#assignAll();
  }

  /** Whether the task waits for an agent, or for one in place of those that worked on it and have gone. */
  #isWanted(open: OpenTask): boolean {
    return open.awaitsAgent || (open.working && open.takers.size === 0 && !this.#roster.isKept(open));
  }

  #give(taskId: string, open: OpenTask, subscriber: Subscriber): void {
    if (!open.takers.has(subscriber)) subscriber.load++;
    open.takers.add(subscriber);
    subscriber.pending.set(taskId, !open.awaitsAgent);
    subscriber.wake();
  }

  /** Gives each task that has no agent to one that is for it. */
  #assignAll(): void {
    for (const [taskId, open] of this.#open) {
      const isWanted = open.awaitsAgent || (open.working && open.takers.size === 0);
      if (isWanted && !this.claims.isClaimed(taskId) && holderOf(open) === undefined) {
        this.#assign(taskId, open);
      }
    }
  }

  /** Gives the task to the agent that has it, or to the one of those that are for it that has the least to do. */
  #assign(taskId: string, open: OpenTask): void {
    let best = holderOf(open);
    if (best === undefined) {
      for (const one of this.#subscribers) {
        if (one.role === undefined || !this.#roster.isFor(open, one.role)) continue;
        if (one.exclusive) return this.#leaveToClaims(taskId); // its agents share by claims
        if (one.role.agentId === open.agentId) {
          best = one; // it had the task before
          break;
        }
        if (best === undefined || one.load < best.load) best = one;
      }
    }
    if (best === undefined) return;
    open.agentId = best.role?.agentId ?? "";
    this.#unclaimed.delete(taskId);
    this.#give(taskId, open, best);
  }

  #leaveToClaims(taskId: string): void {
    this.#unclaimed.add(taskId);
    for (const { exclusive, wake } of this.#subscribers) if (exclusive) wake();
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

  #claimNext({ worker, role }: Subscriber): Offer | undefined {
    if (!this.claims.hasRoom(worker)) return undefined;
    for (const taskId of this.#unclaimed) {
      const open = this.#open.get(taskId);
      if (open === undefined || (role !== undefined && !this.#roster.isFor(open, role))) continue;
      this.#unclaimed.delete(taskId);
      if (role !== undefined) open.agentId = role.agentId;
      return { taskId, claimId: this.claims.claim(taskId, worker) };
    }
    return undefined;
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
    const open = this.#open.get(taskId);
    if (open === undefined) return;
    this.#unclaimed.add(taskId);
    for (const subscriber of this.#subscribers) {
      if (subscriber.exclusive) subscriber.wake();
      else if (subscriber.role === undefined) this.#give(taskId, open, subscriber);
    }
    this.#assign(taskId, open);
  }

  #forget(taskId: string, peerId: string): void {
    this.claims.release(taskId);
    this.#unclaimed.delete(taskId);
    for (const { pending } of this.#subscribers) pending.delete(taskId);
    const open = this.#open.get(taskId);
    for (const taker of open?.takers ?? []) taker.load--;
    if (!this.#open.delete(taskId)) return;
    this.#count(peerId, { count: -1, bytes: -(open?.bytes ?? 0) });
  }

  #keep(taskId: string, open: OpenState): void {
    const before = this.#open.get(taskId);
    const { peerId, bytes } = open;
    this.#count(peerId, { count: before === undefined ? 1 : 0, bytes: bytes - (before?.bytes ?? 0) });
    if (before !== undefined) Object.assign(before, open);
    else this.#open.set(taskId, { ...open, agentId: "", restored: !this.#isStarted, takers: new Set() });
  }

  #count(peerId: string, by: { count: number; bytes: number }): void {
    const { count, bytes } = this.#byPeer.get(peerId) ?? { count: 0, bytes: 0 };
    this.#bytes += by.bytes;
    if (count + by.count > 0) this.#byPeer.set(peerId, { count: count + by.count, bytes: bytes + by.bytes });
    else this.#byPeer.delete(peerId);
  }
}

/** The agent with a role that has been given the task. */
function holderOf({ takers }: OpenTask): Subscriber | undefined {
  for (const taker of takers) if (taker.role !== undefined) return taker;
  return undefined;
}
