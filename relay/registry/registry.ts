import type { Clock } from "../../core/clock.ts";
import { CodedError } from "../../core/errors.ts";
import { KeyedLock } from "../../core/keyed_lock.ts";
import {
  checkRegistryFacts,
  openRegistryRecord,
  type RegistryFacts,
  type SignedRegistryRecord,
} from "../../identity/mod.ts";
import type { Lease, RegistryPage, RegistryQuery } from "../../registry/mod.ts";
import type { Admission, Caller } from "./admission.ts";
import { type Entry, toSearchText } from "./entry.ts";
import { type Directory, TOLD_LEASES } from "./directory.ts";
import type { RegistryOptions } from "./registry_options.ts";
import type { RegistryStore } from "./registry_store.ts";
import type { Withdrawal } from "./withdrawals.ts";

/** What a registry works with. */
export interface RegistryDeps {
  /** Peer id of this relay. */
  readonly relayId: string;
  readonly directory: Directory;
  readonly admission: Admission;
  readonly store: RegistryStore;
  /** Whether other relays read the store: it is then kept up to date. Default false. */
  readonly isShared?: boolean;
  readonly clock: Clock;
}

/** A lease and when it is over as it stands, in milliseconds since the Unix epoch. */
export interface HeldLease extends Lease {
  readonly expiresAtMs: number;
}

/** A registration without signature. */
export interface UnsignedRegistration extends RegistryFacts {
  readonly peerId: string;
}

/**
 * What agents do at the registry of this relay. Whatever it answers to a change is on disk. Throws `invalid_argument`,
 * `permission_denied` and `unauthenticated` for what a caller has no right to, `resource_exhausted` when it is full.
 */
export class Registry {
  readonly #deps: RegistryDeps;
  readonly #options: RegistryOptions;
  readonly #lock = new KeyedLock();

  constructor(deps: RegistryDeps, options: RegistryOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Takes up what the registrations were when the relay stopped. Each gets the time of one lease to come back. */
  async start(): Promise<void> {
    const { store, directory, clock } = this.#deps;
    const { entries, withdrawals } = await store.load();
    for (const withdrawal of withdrawals) directory.restoreWithdrawal(withdrawal);
    const expiresAtMs = clock.now() + this.#options.ttlMs;
    for (const entry of entries) directory.restore({ ...entry, expiresAtMs });
  }

  /**
   * Registers a peer by what it has signed. The same record again renews the lease of the peer itself, and of nobody else.
   * Throws `aborted` when a later record is known, or this one was taken back.
   */
  async register(signed: SignedRegistryRecord, caller: Caller): Promise<HeldLease> {
    const { admission, clock } = this.#deps;
    const record = openRegistryRecord(signed, { nowMs: clock.now() });
    const { peerId, sequence, expiresAtMs: recordExpiresAtMs } = record;
    if (record.removed) throw new CodedError("invalid_argument", "The record says that the peer is removed");
    admission.checkSigned(peerId, caller);
    return await this.#lock.run(peerId, async () => {
      const last = this.#lastSequence(peerId);
      const isAgain = sequence === last.sequence && !last.removed;
      if (sequence < last.sequence || last.removed && sequence === last.sequence) {
        throw new CodedError(
          "aborted",
          `A record of ${peerId} with sequence ${last.sequence} is known: sign a later one`,
          {
            details: { sequence: String(last.sequence) },
          },
        );
      }
      if (isAgain && caller.peerId !== peerId) return this.#lease(peerId);
      const { name, description, skills, addresses } = record;
      return await this.#put({
        ...{ peerId, name, description, skills, addresses, signed, sequence, recordExpiresAtMs },
        host: caller.host,
      });
    });
  }

  /** Registers a peer that does not sign. Throws `permission_denied` also when it has signed before. */
  async registerUnsigned(registration: UnsignedRegistration, caller: Caller): Promise<HeldLease> {
    const { peerId, name, description, skills, addresses } = registration;
    const { admission, directory } = this.#deps;
    admission.checkId(peerId);
    if (skills.length === 0) throw new CodedError("invalid_argument", "at least one skill is required");
    if (skills.some(({ id }) => id === "")) {
      throw new CodedError("invalid_argument", "skill_id is required for all skills");
    }
    checkRegistryFacts(registration);
    admission.checkUnsigned(peerId, caller);
    return await this.#lock.run(peerId, async () => {
      if (directory.get(peerId)?.verified) throw hasSigned(peerId);
      return await this.#put({
        ...{ peerId, name, description, skills, addresses, signed: undefined, sequence: 0 },
        recordExpiresAtMs: Infinity,
        host: caller.host,
      });
    });
  }

  /** Renews the lease of a peer. Throws `not_found` when it is not registered here, or not any more. */
  async heartbeat(peerId: string, caller: Caller): Promise<HeldLease> {
    const { admission, directory } = this.#deps;
    admission.checkId(peerId);
    return await this.#lock.run(peerId, () => {
      const entry = directory.local(peerId);
      if (entry === undefined) throw new CodedError("not_found", `peer ${peerId} not found in registry`);
      // A connected peer is there anyway; else a signed one renews by a new record, where it has no connection to prove itself.
      if (!directory.isConnected(peerId)) {
        if (entry.verified) admission.checkSigned(peerId, caller);
        if (entry.verified && caller.peerId === undefined) throw hasSigned(peerId);
        if (!entry.verified) admission.checkUnsigned(peerId, caller);
      }
      directory.renew(entry);
      return Promise.resolve(this.#lease(peerId));
    });
  }

  /** Takes back all that a peer has said, here and at the relays this one is federated with, by its own record. */
  async withdraw(signed: SignedRegistryRecord, caller: Caller): Promise<void> {
    const { admission, directory, clock } = this.#deps;
    const record = openRegistryRecord(signed, { nowMs: clock.now() });
    if (!record.removed) {
      throw new CodedError("invalid_argument", "The record does not say that the peer is removed");
    }
    admission.checkSigned(record.peerId, caller);
    await this.#lock.run(record.peerId, async () => {
      const last = this.#lastSequence(record.peerId);
      if (record.sequence < last.sequence) {
        throw new CodedError(
          "aborted",
          `A record of ${record.peerId} with sequence ${last.sequence} is known`,
        );
      }
      await this.#withdraw({
        peerId: record.peerId,
        byPeer: true,
        signed,
        sequence: record.sequence,
        origin: this.#deps.relayId,
        version: directory.nextVersion(record.peerId),
        path: [],
        atMs: clock.now(),
        keepUntilMs: record.expiresAtMs,
      });
    });
  }

  /** A peer took back at another relay what it said; answers whether that is news. Its record has been checked. */
  async takeWithdrawal(withdrawal: Withdrawal): Promise<boolean> {
    return await this.#lock.run(withdrawal.peerId, async () => {
      const last = this.#lastSequence(withdrawal.peerId);
      if (withdrawal.sequence < last.sequence || withdrawal.sequence === last.sequence && last.removed) {
        return false;
      }
      await this.#withdraw(withdrawal);
      return true;
    });
  }

  /**
   * Removes skills of a peer here, all of them when `skillIds` is empty; what is not there is fine. Of a peer that has signed
   * only all, and by itself: what is left would not be what it has signed.
   */
  async remove(peerId: string, skillIds: readonly string[], caller: Caller): Promise<void> {
    const { admission, directory, clock } = this.#deps;
    admission.checkId(peerId);
    await this.#lock.run(peerId, async () => {
      const entry = directory.local(peerId);
      if (entry === undefined) return;
      if (entry.verified) {
        admission.checkSigned(peerId, caller);
        if (caller.peerId === undefined || skillIds.length > 0) throw hasSigned(peerId);
      } else admission.checkUnsigned(peerId, caller);
      const left = skillIds.length === 0 ? [] : entry.skills.filter(({ id }) => !skillIds.includes(id));
      if (left.length === entry.skills.length) return;
      if (left.length > 0) await this.#put({ ...entry, skills: left });
      else await this.#drop(entry, clock.now());
    });
  }

  /** A page of those that fit `query`. Throws as `findPage`. */
  async find(query: RegistryQuery): Promise<RegistryPage> {
    return await this.#deps.directory.find(query);
  }

  /** Drops what was not renewed in time, and tells other relays again what was. */
  async sweep(): Promise<void> {
    const { directory, store, clock } = this.#deps;
    const nowMs = clock.now();
    for (const entry of directory.lapsed(nowMs)) {
      await this.#lock.run(entry.peerId, async () => {
        const current = directory.held(entry.peerId);
        if (current !== undefined && current.expiresAtMs <= nowMs) await this.#drop(current, nowMs);
      });
    }
    const again = directory.keepUp(nowMs);
    if (this.#deps.isShared) await store.refresh(again);
    await Promise.all(directory.sweep(nowMs).map((peerId) => this.#forget(peerId)));
  }

  async #put(
    facts: Pick<Entry, "peerId" | "signed" | "sequence" | "recordExpiresAtMs" | "host"> & RegistryFacts,
  ): Promise<HeldLease> {
    const { directory, store, clock, relayId } = this.#deps;
    const nowMs = clock.now();
    const entry: Entry = {
      ...facts,
      verified: facts.signed !== undefined,
      registeredAtMs: nowMs,
      lastSeenMs: nowMs,
      expiresAtMs: Math.min(nowMs + this.#options.ttlMs, facts.recordExpiresAtMs),
      viaRelayId: relayId,
      version: directory.nextVersion(facts.peerId),
      path: [],
      toldUntilMs: nowMs + TOLD_LEASES * this.#options.ttlMs,
      searchText: toSearchText(facts),
    };
    directory.checkRoom(entry);
    await store.save(entry);
    directory.put(entry);
    return this.#lease(entry.peerId);
  }

  async #drop(entry: Entry, nowMs: number): Promise<void> {
    const { directory, relayId } = this.#deps;
    const recordUntilMs = entry.verified ? entry.recordExpiresAtMs : 0;
    await this.#withdraw({
      peerId: entry.peerId,
      byPeer: false,
      signed: entry.signed,
      sequence: entry.sequence,
      origin: relayId,
      version: directory.nextVersion(entry.peerId),
      path: [],
      atMs: nowMs,
      keepUntilMs: Math.max(nowMs + TOLD_LEASES * this.#options.ttlMs, recordUntilMs),
    });
  }

  /** Forgets what is stored of a peer, unless it has registered since: what it was told is on disk stays there. */
  async #forget(peerId: string): Promise<void> {
    const { directory, store } = this.#deps;
    await this.#lock.run(peerId, async () => {
      if (directory.isUnknown(peerId)) await store.forget([peerId]);
    });
  }

  async #withdraw(withdrawal: Withdrawal): Promise<void> {
    await this.#deps.store.withdraw(withdrawal);
    this.#deps.directory.withdraw(withdrawal);
  }

  #lease(peerId: string): HeldLease {
    const { directory, relayId } = this.#deps;
    const expiresAtMs = directory.local(peerId)?.expiresAtMs ?? 0;
    return { ttlMs: this.#options.ttlMs, relayId, expiresAtMs };
  }

  /** The highest sequence known of a peer, and whether the peer took it back. */
  #lastSequence(peerId: string): { sequence: number; removed: boolean } {
    const { directory } = this.#deps;
    const withdrawal = directory.withdrawal(peerId);
    const sequence = Math.max(directory.sequenceOf(peerId), withdrawal?.sequence ?? -1);
    return { sequence, removed: withdrawal?.byPeer === true && withdrawal.sequence === sequence };
  }
}

function hasSigned(peerId: string): CodedError {
  return new CodedError(
    "permission_denied",
    `${peerId} has registered by a signed record: only another one that it signs can change that`,
  );
}
