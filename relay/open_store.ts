import type { Logger } from "../core/log.ts";
import { systemClock } from "../core/clock.ts";
import { createMemoryKvStore, type KvStore, openDenoKvStore, openRemoteKvStore } from "../kv/mod.ts";
import { KvRegistryStore } from "./registry/kv_registry_store.ts";

/** Where a relay keeps its registrations. Disposing it closes that. */
export interface OpenedStore extends AsyncDisposable {
  readonly registrations: KvRegistryStore;
  /** The database, where other relays may keep theirs too; undefined for one that is this relay's own. */
  readonly shared: KvStore | undefined;
  /** What is wrong with it; undefined for nothing. */
  check(): Promise<string | undefined>;
}

/** Opens `memory`, the store in a folder, or one that relays share. Throws as `openDenoKvStore` and `openRemoteKvStore`. */
export async function openStore(
  where: string,
  { relayId, logger }: { relayId: string; logger: Logger },
): Promise<OpenedStore> {
  const isShared = /^https?:\/\//.test(where);
  const kv: KvStore = where === "memory"
    ? createMemoryKvStore()
    : isShared
    ? await openRemoteKvStore({ url: where })
    : await openDenoKvStore({ directory: where });
  return {
    registrations: new KvRegistryStore({ kv, relayId, clock: systemClock, logger }),
    shared: isShared ? kv : undefined,
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
