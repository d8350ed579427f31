import { setImmediate } from "node:timers/promises";
import type { KvStore } from "../../kv/mod.ts";

/** When a process dies: at its `commit`-th commit from 1, before the store has it, or when it has and the process is not told. */
export interface DeathPlan {
  readonly commit: number;
  readonly when: "before" | "after";
}

/** A process's view of its store, up to its death. */
export interface DyingKv {
  readonly kv: KvStore;
  /** Commits so far. */
  readonly commits: number;
  readonly isDead: boolean;
  /** Resolves when it dies. */
  readonly died: Promise<void>;
  /** Dies now. */
  die(): void;
}

/**
 * `inner` as a process sees it that dies as `plan` says: from then on nothing it asks for ever comes back, as for a process
 * killed with SIGKILL. `inner` lives on for its successor.
 */
export function createDyingKv(inner: KvStore, plan?: DeathPlan): DyingKv {
  const death = Promise.withResolvers<void>();
  let commits = 0;
  let isDead = false;
  const die = () => {
    isDead = true;
    death.resolve();
  };
  /** What a living process gets; a dead one waits for ever. */
  const whileAlive = async <T>(work: () => Promise<T>): Promise<T> => {
    const result = isDead ? undefined : await work();
    if (isDead) await new Promise<never>(() => {});
    return result as T;
  };
  const kv: KvStore = {
    get: (key) => whileAlive(() => inner.get(key)),
    async *list(prefix, options) {
      const entries = inner.list(prefix, options)[Symbol.asyncIterator]();
      for (;;) {
        const next = await whileAlive(() => entries.next());
        if (next.done) return;
        yield next.value;
      }
    },
    commit: (operations) =>
      whileAlive(async () => {
        const isLast = ++commits === plan?.commit;
        const committed = isLast && plan?.when === "before" ? undefined : await inner.commit(operations);
        if (!isLast) return committed;
        // It waits for this commit in vain, and lives on long enough to tell what it may not tell yet.
        await setImmediate();
        die();
        return await new Promise<never>(() => {});
      }),
    [Symbol.asyncDispose]: () => Promise.resolve(), // The store belongs to whoever made it.
  };
  return {
    kv,
    get commits() {
      return commits;
    },
    get isDead() {
      return isDead;
    },
    died: death.promise,
    die,
  };
}
