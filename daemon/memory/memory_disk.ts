import { createMemoryKvStore, type KvKey, type KvOperation, type KvStore } from "../../kv/mod.ts";
import { MemorySpool } from "./memory_spool.ts";

/** Operations of one commit, when a store is filled. */
const FILL_OPERATIONS = 100;

/** What a node keeps when its process ends: its store and the artifacts it has received, in memory. */
export class MemoryDisk {
  #rows = new Map<string, { readonly key: KvKey; readonly value: Uint8Array }>();
  #spool = new MemorySpool();
  /** Counts commits. */
  onCommit: () => void = () => {};

  /** The store with what was kept. Only the one that was opened last is kept from. */
  async openStore(): Promise<KvStore> {
    const store = createMemoryKvStore();
    const rows = this.#rows = new Map(this.#rows);
    const kept = [...rows.values()].map((row): KvOperation => ({ op: "set", ...row }));
    for (let i = 0; i < kept.length; i += FILL_OPERATIONS) {
      await store.commit(kept.slice(i, i + FILL_OPERATIONS));
    }
    return {
      get: (key) => store.get(key),
      list: (prefix, options) => store.list(prefix, options),
      commit: async (operations) => {
        this.onCommit();
        const revision = await store.commit(operations);
        if (revision !== undefined) { for (const operation of operations) keep(rows, operation); }
        return revision;
      },
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    };
  }

  /** The artifacts that were kept. */
  openSpool(): MemorySpool {
    return this.#spool = this.#spool.reopened();
  }

  /** The process dies: what it writes from now on is lost. */
  crash(): void {
    this.#rows = new Map(this.#rows);
    this.#spool = this.#spool.reopened();
  }
}

function keep(rows: Map<string, { key: KvKey; value: Uint8Array }>, operation: KvOperation): void {
  const name = JSON.stringify(operation.key);
  if (operation.op === "set") rows.set(name, { key: operation.key, value: operation.value.slice() });
  else if (operation.op === "delete") rows.delete(name);
}
