import type { Clock } from "../../core/clock.ts";
import { CodedError } from "../../core/errors.ts";
import type { RegistryPage, RegistryQuery } from "../../registry/mod.ts";
import { ChangeLog } from "./change_log.ts";
import { better, type Entry, sizeOf } from "./entry.ts";
import { EntryTable } from "./entry_table.ts";
import { findAll, type FindDeps, findPage } from "./find_page.ts";
import type { RegistryOptions } from "./registry_options.ts";
import { Turns } from "./turns.ts";
import { type Withdrawal, Withdrawals } from "./withdrawals.ts";

/** For how many leases other relays are told that a registration holds; it is told again when half of that is over. */
export const TOLD_LEASES = 4;
/** Share of a lease that a peer has to come back once its connection is lost. */
const GRACE_SHARE = 1 / 3;

/** What happened to a registration. */
export interface DirectoryEvent {
  readonly type: "registered" | "updated" | "removed";
  readonly peerId: string;
}

/** A skill and how many agents offer it. */
export interface OfferedSkill {
  readonly id: string;
  /** As the first agent describes it that does. */
  readonly description: string;
  readonly agentCount: number;
}

/** What a directory works with. */
export interface DirectoryDeps {
  readonly clock: Clock;
  /** Whether a peer is connected over libp2p. */
  isConnected(peerId: string): boolean;
}

/** All that this relay knows: registered here, heard of from other relays, and withdrawn. In memory, bounded. */
export class Directory {
  readonly here = new EntryTable();
  readonly elsewhere = new EntryTable();
  readonly changes = new ChangeLog();
  readonly #withdrawals: Withdrawals;
  readonly #listeners = new Set<(event: DirectoryEvent) => void>();
  readonly #turns = new Turns();
  readonly #clock: Clock;
  readonly #options: RegistryOptions;
  readonly isConnected: (peerId: string) => boolean;
  /** Peers of which nothing is held any more and a withdrawal may be stored, until the next sweep. */
  readonly #toForget = new Set<string>();
  /** Registrations that were not renewed in time, since the start. */
  lapsedCount = 0;

  constructor({ clock, isConnected }: DirectoryDeps, options: RegistryOptions) {
    this.#clock = clock;
    this.isConnected = isConnected;
    this.#options = options;
    this.#withdrawals = new Withdrawals(options.capacity);
  }

  /** Calls `listener` after each change until the returned function is called. */
  onChange(listener: (event: DirectoryEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What a peer has registered here and what still holds. */
  local(peerId: string): Entry | undefined {
    const entry = this.here.get(peerId);
    return entry !== undefined && this.#holds(entry) ? entry : undefined;
  }

  /** What a peer has registered here, whether it still holds or not. */
  held(peerId: string): Entry | undefined {
    return this.here.get(peerId);
  }

  /** What holds of a peer, from here or from elsewhere. */
  get(peerId: string): Entry | undefined {
    const found = this.#found(peerId);
    return found && this.#seen(found);
  }

  withdrawal(peerId: string): Withdrawal | undefined {
    return this.#withdrawals.get(peerId);
  }

  /** The highest sequence of a record that is held of a peer; -1 without one. */
  sequenceOf(peerId: string): number {
    const signed = [this.here.get(peerId), this.elsewhere.get(peerId)].filter((entry) => entry?.verified);
    return Math.max(-1, ...signed.map((entry) => entry?.sequence ?? -1));
  }

  /** A version that is higher than all there were of a peer: nanoseconds since the epoch, as existing relays count. */
  nextVersion(peerId: string): bigint {
    const last = [this.here.get(peerId)?.version ?? 0n, this.#withdrawals.get(peerId)?.version ?? 0n];
    const now = BigInt(this.#clock.now()) * 1_000_000n;
    return last.reduce((highest, version) => version >= highest ? version + 1n : highest, now);
  }

  /** Throws `resource_exhausted`, naming the limit, when there is no room for a registration here. */
  checkRoom(entry: Entry): void {
    const { capacity, maxPerHost, maxBytes } = this.#options;
    const before = this.here.get(entry.peerId);
    const grown = sizeOf(entry) - (before === undefined ? 0 : sizeOf(before));
    if (before === undefined && this.here.size >= capacity) {
      throw full(`${capacity} peers (--registry-capacity)`);
    }
    if (grown > 0 && this.here.bytes + this.elsewhere.bytes + grown > maxBytes) {
      throw full(`${maxBytes} bytes (--registry-max-bytes)`);
    }
    if (isLoopback(entry.host) || before?.host === entry.host) return;
    if (this.here.countOf(entry.host) >= maxPerHost) {
      throw full(`${maxPerHost} peers from one address (--registry-max-per-host)`);
    }
  }

  /** Whether there is room for what another relay tells. */
  hasRoomElsewhere(entry: Entry): boolean {
    const { capacity, maxBytes } = this.#options;
    const before = this.elsewhere.get(entry.peerId);
    const grown = sizeOf(entry) - (before === undefined ? 0 : sizeOf(before));
    if (grown > 0 && this.here.bytes + this.elsewhere.bytes + grown > maxBytes) return false;
    return before !== undefined || this.elsewhere.size < capacity;
  }

  /** Takes up a registration of this relay. */
  put(entry: Entry): void {
    this.#putIn(this.here, entry);
  }

  /** Takes up what another relay tells. */
  putElsewhere(entry: Entry): void {
    this.#putIn(this.elsewhere, entry);
  }

  /** Renews the lease of a registration here, which is no news. */
  renew(entry: Entry): void {
    const nowMs = this.#clock.now();
    const expiresAtMs = Math.min(nowMs + this.#options.ttlMs, entry.recordExpiresAtMs);
    this.here.put({ ...entry, expiresAtMs, lastSeenMs: nowMs });
  }

  /** Puts back what was stored before the relay was started. */
  restore(entry: Entry): void {
    if (entry.recordExpiresAtMs > this.#clock.now()) this.here.put(entry);
    this.changes.note(entry.peerId, this.#clock.now());
  }

  /** Puts back a stored withdrawal. */
  restoreWithdrawal(withdrawal: Withdrawal): void {
    this.#note(withdrawal);
    this.changes.note(withdrawal.peerId, this.#clock.now());
  }

  /** Removes what a withdrawal concerns: here only its own, elsewhere what came from its relay, and all of a peer's own word. */
  withdraw(withdrawal: Withdrawal): void {
    const { peerId, byPeer, path, origin } = withdrawal;
    const wasThere = this.get(peerId) !== undefined;
    if (byPeer || path.length === 0) this.here.delete(peerId);
    if (byPeer || this.elsewhere.get(peerId)?.viaRelayId === origin) this.elsewhere.delete(peerId);
    this.#note(withdrawal);
    this.#changed(peerId, wasThere);
  }

  /** A peer has no connection any more: it has a part of its lease to come back. */
  readonly onDisconnected = (peerId: string): void => {
    const entry = this.here.get(peerId);
    if (entry === undefined) return;
    const nowMs = this.#clock.now();
    const graceMs = nowMs + Math.ceil(this.#options.ttlMs * GRACE_SHARE);
    // Of one that never renewed in any other way, nothing is left of its lease: the connection has stood for it.
    this.here.put({ ...entry, expiresAtMs: Math.min(graceMs, entry.recordExpiresAtMs), lastSeenMs: nowMs });
  };

  /** Registrations here that hold no more. */
  lapsed(nowMs: number): Entry[] {
    return [...this.here.values()].filter((entry) => entry.expiresAtMs <= nowMs && !this.#holds(entry));
  }

  /** Renews what connections stand for; answers the entries that others are to be told of again. */
  keepUp(nowMs: number): Entry[] {
    return [...this.here.values()].filter((entry) => this.#holds(entry))
      .flatMap((entry) => this.#keep(entry, nowMs) ?? []);
  }

  /** Whether nothing of a peer has to outlive this relay. */
  isUnknown(peerId: string): boolean {
    return this.here.get(peerId) === undefined && this.withdrawal(peerId) === undefined;
  }

  /** Cleans up; answers the peers of which nothing may be left to store. */
  sweep(nowMs: number): string[] {
    for (const entry of [...this.elsewhere.values()].filter((entry) => !this.#holds(entry))) {
      this.elsewhere.delete(entry.peerId);
      this.changes.forget(entry.peerId);
      if (this.here.get(entry.peerId) !== undefined) this.changes.note(entry.peerId, nowMs);
      this.lapsedCount++;
      this.#tell("removed", entry.peerId);
    }
    const over = [...this.#withdrawals.values()].filter(({ keepUntilMs }) => keepUntilMs <= nowMs);
    for (const { peerId } of over) {
      this.#withdrawals.delete(peerId);
      this.#forget(peerId);
    }
    const peerIds = [...this.#toForget].filter((peerId) => this.isUnknown(peerId));
    this.#toForget.clear();
    return peerIds;
  }

  /** A page of what holds and fits `query`, ordered by peer id. Throws as `findPage`. */
  async find(query: RegistryQuery): Promise<RegistryPage> {
    const { agents, nextPageToken } = await findPage(this.#finding, query);
    return { agents: agents.map((entry) => this.#seen(entry)), nextPageToken };
  }

  /** Gives all that hold and fit `query` to `take`, ordered by peer id. Throws as {@link find}. */
  async findAll(query: RegistryQuery, take: (entry: Entry) => void): Promise<void> {
    await findAll(this.#finding, query, (entry) => {
      take(this.#seen(entry));
      return true;
    });
  }

  get #finding(): FindDeps {
    return {
      tables: [this.here, this.elsewhere],
      turns: this.#turns,
      get: (peerId) => this.#found(peerId),
    };
  }

  #found(peerId: string): Entry | undefined {
    const remote = this.elsewhere.get(peerId);
    return better(this.local(peerId), remote !== undefined && this.#holds(remote) ? remote : undefined);
  }

  /** An entry with when its peer was last seen, which is now while it is connected. */
  #seen(entry: Entry): Entry {
    return this.isConnected(entry.peerId) ? { ...entry, lastSeenMs: this.#clock.now() } : entry;
  }

  /** Skills on offer, by id; the first `limit` (10,000) of those that begin with `prefix`. */
  skills({ prefix = "", limit = 10_000 }: { prefix?: string; limit?: number } = {}): OfferedSkill[] {
    const tables = [this.here, this.elsewhere];
    const ids = new Set(tables.flatMap((table) => [...table.skillIds(prefix).take(limit)]));
    return [...ids].sort().slice(0, limit).flatMap((id) => {
      const peers = new Set(tables.flatMap((table) => [...table.withSkill(id).after("")]));
      const offers = [...peers].flatMap((peerId) => {
        return this.get(peerId)?.skills.filter((skill) => skill.id === id) ?? [];
      });
      const description = offers.find((skill) => skill.description !== "")?.description ?? "";
      return offers.length === 0 ? [] : [{ id, description, agentCount: offers.length }];
    });
  }

  #holds(entry: Entry): boolean {
    const nowMs = this.#clock.now();
    if (entry.recordExpiresAtMs <= nowMs) return false;
    return entry.expiresAtMs > nowMs || entry.path.length === 0 && this.isConnected(entry.peerId);
  }

  /** Renews a lease that a connection stands for, and tells other relays again that the entry holds. */
  #keep(entry: Entry, nowMs: number): Entry | undefined {
    const { ttlMs } = this.#options;
    let kept = entry;
    if (this.isConnected(entry.peerId) && entry.expiresAtMs - nowMs < ttlMs / 2) {
      const expiresAtMs = Math.min(nowMs + ttlMs, entry.recordExpiresAtMs);
      kept = { ...kept, expiresAtMs, lastSeenMs: nowMs };
    }
    if (entry.toldUntilMs - nowMs < TOLD_LEASES * ttlMs / 2) {
      const toldUntilMs = nowMs + TOLD_LEASES * ttlMs;
      kept = { ...kept, toldUntilMs, version: this.nextVersion(entry.peerId) };
      this.changes.note(entry.peerId, nowMs);
    }
    if (kept !== entry) this.here.put(kept);
    return kept.toldUntilMs > entry.toldUntilMs ? kept : undefined;
  }

  #putIn(table: EntryTable, entry: Entry): void {
    const before = this.get(entry.peerId);
    table.put(entry);
    if (this.#withdrawals.delete(entry.peerId)) this.#toForget.add(entry.peerId); // what is newer was let through
    this.changes.note(entry.peerId, this.#clock.now());
    const sameFacts = before?.skills === entry.skills;
    if (!sameFacts) this.#tell(before === undefined ? "registered" : "updated", entry.peerId);
  }

  #note(withdrawal: Withdrawal): void {
    for (const peerId of this.#withdrawals.put(withdrawal)) this.#forget(peerId);
  }

  /** A peer is withdrawn no more. */
  #forget(peerId: string): void {
    this.#toForget.add(peerId);
    if (this.here.get(peerId) === undefined && this.elsewhere.get(peerId) === undefined) {
      this.changes.forget(peerId);
    }
  }

  #changed(peerId: string, wasThere: boolean): void {
    this.changes.note(peerId, this.#clock.now());
    if (!wasThere) return;
    this.#tell(this.get(peerId) === undefined ? "removed" : "updated", peerId);
  }

  #tell(type: DirectoryEvent["type"], peerId: string): void {
    for (const listener of this.#listeners) listener({ type, peerId });
  }
}

function full(limit: string): CodedError {
  return new CodedError(
    "resource_exhausted",
    `registry is at maximum capacity: the limit is ${limit}; try another relay or later`,
  );
}

/** Whether an address is of this machine, or a local socket. */
function isLoopback(host: string): boolean {
  return host === "" || host === "::1" || host.startsWith("127.");
}
