import type { CodedError } from "../core/errors.ts";

/** The name of a value: ordered part by part, strings (by code point) before numbers, a shorter key before a longer one. */
export type KvKey = readonly (string | number)[];

/** A stored value. */
export interface KvEntry {
  key: KvKey;
  value: Uint8Array;
  /** Changes with each write of the key; keys written at about the same time may share one. Means nothing to another store. */
  revision: string;
}

/** One step of a commit. A `check` with revision `undefined` holds when the key does not exist. */
export type KvOperation =
  | { op: "check"; key: KvKey; revision: string | undefined }
  | { op: "set"; key: KvKey; value: Uint8Array }
  | { op: "delete"; key: KvKey };

/** Which entries below a prefix {@link KvStore.list} gives. */
export interface KvListOptions {
  /** Most entries given. Default: all. */
  limit?: number;
  /** Last key first. Default false. */
  reverse?: boolean;
  /** Start behind this key (in the direction of the listing), which is itself left out and need not exist. */
  after?: KvKey;
  /**
   * Is told the key and the `data_loss` of each entry that is damaged, which the listing then leaves out without counting
   * it to `limit`. Default: the listing throws that error.
   */
  onDamaged?: (key: KvKey, error: CodedError) => void;
}

/**
 * Ordered, transactional storage of bytes. Keys that break {@link KV_LIMITS} are `invalid_argument`; values or commits that
 * do are `resource_exhausted`. A damaged store answers `data_loss`, a full disk or a closed store `unavailable`, a store
 * that cannot be written `permission_denied`. Damage to one value concerns its key alone: `get` of it is `data_loss`, a
 * listing can go on past it, and it can be replaced or deleted.
 */
export interface KvStore extends AsyncDisposable {
  /** The entry of `key`, whole and as of one commit. */
  get(key: KvKey): Promise<KvEntry | undefined>;
  /**
   * Entries below `prefix` (not `prefix` itself) in key order. Each entry is whole; the listing as a whole is no snapshot:
   * entries committed meanwhile may or may not show up.
   */
  list(prefix: KvKey, options?: KvListOptions): AsyncIterable<KvEntry>;
  /**
   * Does all operations or none, and answers the revision that all it set has now; undefined when a check did not hold.
   * Once it resolves to a revision, it is on disk. Commits made at once share the cost of reaching the disk, yet each
   * stands for itself; those that name a same key go one after another in the order of the calls. After an error it may or
   * may not have been done. A commit changes a key at most once. Leave the given values alone until it settles.
   * @param options.unhurried it may wait up to 50 ms for another commit, whose cost it then shares. Default false.
   */
  commit(
    operations: readonly KvOperation[],
    options?: { unhurried?: boolean },
  ): Promise<string | undefined>;
}
