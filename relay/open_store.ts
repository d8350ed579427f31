import type { Logger } from "../core/log.ts";
import { systemClock } from "../core/clock.ts";
import { createMemoryKvStore, type KvStore, openDenoKvStore } from "../kv/mod.ts";
import { KvRegistryStore } from "./registry/kv_registry_store.ts";

/** Where a relay keeps its registrations. Disposing it closes that. */
export interface OpenedStore extends AsyncDisposable {
  readonly registrations: KvRegistryStore;
  /** What is wrong with it; undefined for nothing. */
  check(): Promise<string | undefined>;
}

/** Opens `memory` or the store in a folder. Throws as `openDenoKvStore`. */
export async function openStore(where: string, { logger }: { logger: Logger }): Promise<OpenedStore> {
  const kv: KvStore = where === "memory"
    ? createMemoryKvStore()
    : await openDenoKvStore({ directory: where });
  return {
    registrations: new KvRegistryStore({ kv, clock: systemClock, logger }),
    async check() {
      try {
        await kv.get(["registration", "health"]);
        return undefined;
      } catch (error) {
        logger.warn("The store does not answer", { error });
        return "the store of the registry does not answer";
      }
    },
    [Symbol.asyncDispose]: () => kv[Symbol.asyncDispose](),
  };
}
