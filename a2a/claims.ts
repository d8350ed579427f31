import type { Clock } from "../core/clock.ts";
import { CodedError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { Task } from "./model.ts";

/** How long the claims of a worker whose subscription has ended wait for it to come back. */
export const COMEBACK_MS = 5_000;

export interface ClaimsDeps {
  clock: Clock;
  logger: Logger;
  /** The task's claim may be over: see {@link Claims.hasLapsed}, then {@link Claims.release} it. */
  onLapsed: (taskId: string) => Promise<void>;
  /** Called each time that claims are looked at. */
  onTick?: () => void;
}

interface Claim {
  readonly taskId: string;
  /** Unknown for a claim of an earlier run. */
  readonly worker: symbol | undefined;
  expiresAtMs: number;
}

interface Worker {
  readonly maxClaims: number;
  readonly claimIds: Set<string>;
  /** Called when it may have another task. */
  readonly onRoom: () => void;
}

/** Which worker has which task, for as long as it renews its claim. A task has one claim at most. */
export class Claims {
  readonly leaseMs: number;
  readonly #deps: ClaimsDeps;
  readonly #claims = new Map<string, Claim>();
  readonly #byTask = new Map<string, string>();
  readonly #workers = new Map<symbol, Worker>();

  constructor(deps: ClaimsDeps, options: { leaseMs: number }) {
    this.#deps = deps;
    this.leaseMs = options.leaseMs;
  }

  /** A worker with no claims yet. */
  join(maxClaims: number, onRoom: () => void): symbol {
    const worker = Symbol("worker");
    this.#workers.set(worker, { maxClaims, claimIds: new Set(), onRoom });
    return worker;
  }

  /** The worker's subscription has ended: unless it renews its claims soon, they lapse. */
  leave(worker: symbol): void {
    const soonMs = this.#deps.clock.now() + Math.min(COMEBACK_MS, this.leaseMs);
    for (const claimId of this.#workers.get(worker)?.claimIds ?? []) {
      const claim = this.#claims.get(claimId);
      if (claim !== undefined) claim.expiresAtMs = Math.min(claim.expiresAtMs, soonMs);
    }
    this.#workers.delete(worker);
  }

  hasRoom(worker: symbol): boolean {
    const { maxClaims = 0, claimIds = new Set() } = this.#workers.get(worker) ?? {};
    return claimIds.size < maxClaims;
  }

  isClaimed(taskId: string): boolean {
    return this.#byTask.has(taskId);
  }

  /** The id of the claim on the task; empty for none. */
  claimOf(taskId: string): string {
    return this.#byTask.get(taskId) ?? "";
  }

  /** Who has claimed the task, as far as is known. */
  workerOf(taskId: string): symbol | undefined {
    return this.#claims.get(this.claimOf(taskId))?.worker;
  }

  /** Whether the claim on the task has run out. */
  hasLapsed(taskId: string): boolean {
    const claim = this.#claims.get(this.claimOf(taskId));
    return claim !== undefined && claim.expiresAtMs <= this.#deps.clock.now();
  }

  /** Gives the task to the worker; answers the id of the claim. */
  claim(taskId: string, worker: symbol): string {
    const claimId = crypto.randomUUID();
    this.#add(claimId, { taskId, worker, expiresAtMs: this.#leaseEnd() });
    this.#workers.get(worker)?.claimIds.add(claimId);
    return claimId;
  }

  /** Takes over a claim that a record names; a claim of an earlier run begins a new lease. */
  keep(claimId: string, taskId: string): void {
    if (this.#claims.has(claimId)) return;
    this.#add(claimId, { taskId, worker: undefined, expiresAtMs: this.#leaseEnd() });
  }

  /** The task is not claimed any more. */
  release(taskId: string): void {
    const claimId = this.#byTask.get(taskId);
    if (claimId === undefined) return;
    const claim = this.#claims.get(claimId);
    this.#byTask.delete(taskId);
    this.#claims.delete(claimId);
    const worker = claim?.worker && this.#workers.get(claim.worker);
    worker?.claimIds.delete(claimId);
    worker?.onRoom();
  }

  /** Lengthens the claims; answers those that are over. */
  renew(claimIds: readonly string[]): string[] {
    const lost = [];
    for (const claimId of claimIds) {
      const claim = this.#claims.get(claimId);
      if (claim === undefined) lost.push(claimId);
      else claim.expiresAtMs = this.#leaseEnd();
    }
    return lost;
  }

  /** Lengthens the claim on the task, if there is one. */
  renewFor(taskId: string): void {
    const claim = this.#claims.get(this.claimOf(taskId));
    if (claim !== undefined) claim.expiresAtMs = this.#leaseEnd();
  }

  /**
   * Refuses a change of a task that somebody else has; who changes its own renews its claim. @param claimId what the caller claims; empty for no claim.
   * @throws CodedError `failed_precondition`.
   */
  check({ taskId }: Task, claimId: string): void {
    const live = this.claimOf(taskId);
    if (live === claimId) return this.renewFor(taskId);
    throw new CodedError(
      "failed_precondition",
      claimId === ""
        ? `Cannot change task ${taskId}: another worker has claimed it`
        : `Cannot change task ${taskId}: the claim on it is over, another worker may have it`,
    );
  }

  /** Ends claims whose time is over, until `signal` fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, onLapsed, onTick } = this.#deps;
    const stepMs = Math.min(COMEBACK_MS, this.leaseMs) / 2;
    for (let beforeMs = clock.now(); !signal.aborted;) {
      await clock.sleep(stepMs, signal).catch(() => {
        // Woken by the signal: the loop ends.
      });
      const nowMs = clock.now();
      onTick?.();
      this.#allowFor(nowMs - beforeMs - stepMs, { toleranceMs: stepMs });
      beforeMs = nowMs;
      for (const { taskId, expiresAtMs } of [...this.#claims.values()]) {
        if (expiresAtMs > nowMs || signal.aborted) continue;
        await onLapsed(taskId).catch((error) => {
          logger.error("A claim that is over could not be ended; trying again", { task: taskId, error });
        });
      }
    }
  }

  /** Time in which no worker could renew its claim does not count: the clock was set, or this process stood still. */
  #allowFor(lostMs: number, { toleranceMs }: { toleranceMs: number }): void {
    if (Math.abs(lostMs) <= toleranceMs) return;
    for (const claim of this.#claims.values()) claim.expiresAtMs += lostMs;
  }

  #add(claimId: string, claim: Claim): void {
    this.#claims.set(claimId, claim);
    this.#byTask.set(claim.taskId, claimId);
  }

  #leaseEnd(): number {
    return this.#deps.clock.now() + this.leaseMs;
  }
}
