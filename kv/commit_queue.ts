/** What one atomic of the database takes; each a little below the limit of Deno KV (1,000, 100, 800 KiB, 80 KiB). */
const ATOMIC_LIMITS: AtomicCost = { mutations: 990, checks: 100, bytes: 760 * 1024, keyBytes: 76 * 1024 };

/** How long a commit that is in no hurry waits for another one to go with. */
const UNHURRIED_MS = 50;

/** How much of an atomic something takes. */
export interface AtomicCost {
  /** Sets and deletes. */
  readonly mutations: number;
  readonly checks: number;
  /** Of keys and values. */
  readonly bytes: number;
  readonly keyBytes: number;
}

/** What a commit does to the database. */
export interface AtomicPart {
  /** Below the limits of one atomic. */
  readonly cost: AtomicCost;
  /** Adds the checks and mutations to `atomic`. */
  addTo(atomic: Deno.AtomicOperation): void;
}

interface Waiting extends AtomicPart {
  readonly outcome: PromiseWithResolvers<string | undefined>;
}

/**
 * Writes commits to the database, one atomic at a time: what arrives while one is written goes into the next together, as
 * much as fits, in the order of the calls. The commits in it at the same time must name different keys, because the checks
 * of an atomic look at what was there before any of its mutations. Bounded by its callers alone.
 */
export class CommitQueue {
  readonly #kv: Deno.Kv;
  #waiting: Waiting[] = [];
  /** What goes with others, or by itself when the timer ends. */
  #unhurried: Waiting[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<void> | undefined;

  constructor(kv: Deno.Kv) {
    this.#kv = kv;
  }

  /**
   * The versionstamp of what `part` set, once that is on disk; undefined when a check of it did not hold.
   * @param options.unhurried waits for another commit to go with, for 50 ms at most.
   */
  commit(part: AtomicPart, { unhurried = false } = {}): Promise<string | undefined> {
    const outcome = Promise.withResolvers<string | undefined>();
    const waiting = { cost: part.cost, addTo: (atomic: Deno.AtomicOperation) => part.addTo(atomic), outcome };
    if (unhurried) {
      this.#unhurried.push(waiting);
      this.#timer ??= setTimeout(() => this.hurry(), UNHURRIED_MS);
    } else {
      this.#waiting.push(waiting);
      this.#writing ??= this.#writeAll();
    }
    return outcome.promise;
  }

  /** Nothing waits for company any more. */
  hurry(): void {
    this.#waiting.push(...this.#takeUnhurried());
    if (this.#waiting.length > 0) this.#writing ??= this.#writeAll();
  }

  /** Resolves when nothing waits or is written. */
  async idle(): Promise<void> {
    this.hurry();
    await this.#writing;
  }

  #takeUnhurried(): Waiting[] {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return this.#unhurried.splice(0);
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      this.#waiting.push(...this.#takeUnhurried());
      await this.#write(this.#takeGroup());
      // Callers who just got their answers may have more: without this turn, the first of them would go alone.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    this.#writing = undefined;
  }

  #takeGroup(): Waiting[] {
    let mutations = 0, checks = 0, bytes = 0, keyBytes = 0;
    const end = this.#waiting.findIndex(({ cost }) =>
      (mutations += cost.mutations) > ATOMIC_LIMITS.mutations ||
      (checks += cost.checks) > ATOMIC_LIMITS.checks ||
      (bytes += cost.bytes) > ATOMIC_LIMITS.bytes || (keyBytes += cost.keyBytes) > ATOMIC_LIMITS.keyBytes
    );
    return this.#waiting.splice(0, end < 0 ? Infinity : Math.max(end, 1));
  }

  /**
   * Halves a group in which a check does not hold, until those with such a check are alone. After an error all of the group
   * fail: it is the disk's, hence each one's, and to try each again would only be slow to say so.
   */
  async #write(group: readonly Waiting[]): Promise<void> {
    try {
      const atomic = this.#kv.atomic();
      for (const part of group) part.addTo(atomic);
      const result = await atomic.commit();
      if (result.ok || group.length === 1) {
        for (const { outcome } of group) outcome.resolve(result.ok ? result.versionstamp : undefined);
        return;
      }
    } catch (error) {
      for (const { outcome } of group) outcome.reject(error);
      return;
    }
    const middle = group.length >>> 1;
    await this.#write(group.slice(0, middle));
    await this.#write(group.slice(middle));
  }
}
