import { Buffer } from "node:buffer";
import type { Clock } from "../../core/clock.ts";
import { CodedError } from "../../core/errors.ts";
import type { FederatedRegistration } from "../../gen/agentanycast/v1/federation_pb.ts";
import { checkRegistryFacts } from "../../identity/mod.ts";
import { toMs, toSignedRecord } from "../../registry/mod.ts";
import type { Admission } from "../registry/admission.ts";
import type { Directory } from "../registry/directory.ts";
import type { Entry } from "../registry/entry.ts";
import { openRecordOf, toEntry } from "../registry/entry_codec.ts";
import type { Registry } from "../registry/registry.ts";

/** Longest time for which another relay's word about a registration is taken, in milliseconds. */
const MAX_TOLD_MS = 10 * 60 * 1000;
/** How far the clock of another relay may be ahead, in milliseconds. */
const MAX_SKEW_MS = 5 * 60 * 1000;
/** Most relays that an entry may have come through. */
const MAX_HOPS = 8;
/** Longest name of a relay: a peer id, or an address of one that has told none. */
const MAX_RELAY_ID_CHARS = 256;
/** Share of the room for other relays' entries that those may fill, all together, which this relay was not told to trust. */
const STRANGERS_SHARE = 0.1;
/** What their entries are counted under: whatever they call themselves costs them nothing. */
const STRANGERS = "strangers";

/** What merging works with. */
export interface MergeDeps {
  readonly relayId: string;
  readonly directory: Directory;
  readonly registry: Registry;
  readonly admission: Admission;
  readonly clock: Clock;
  readonly capacity: number;
}

/** Where an entry comes from. */
export interface Neighbor {
  readonly relayId: string;
  /** Whether the operator has named it, and it has proven to be that one: only then it is believed what nobody signed. */
  readonly trusted: boolean;
}

/** What became of an entry; `refused` is one that should not have been sent. */
export type Merged = "accepted" | "stale" | "refused";

/** Takes over what other relays tell: of two the newer holds, what a peer has signed before what a relay says. */
export class Merge {
  constructor(readonly deps: MergeDeps) {}

  /** Takes one entry. Does not throw for what is in it. */
  async accept(wire: FederatedRegistration, from: Neighbor): Promise<Merged> {
    try {
      return await this.#accept(wire, from);
    } catch (error) {
      if (!(error instanceof CodedError) || error.code === "internal") throw error;
      // One that has just expired under way is nobody's fault.
      return error.code === "failed_precondition" ? "stale" : "refused";
    }
  }

  async #accept(wire: FederatedRegistration, from: Neighbor): Promise<Merged> {
    const { relayId, clock } = this.deps;
    const nowMs = clock.now();
    const origin = wire.originRelayId || from.relayId;
    const path = pathOf(wire, origin, from.relayId);
    if (origin === relayId || path.includes(relayId)) return "stale";
    const isPoisoned = wire.version > BigInt(nowMs + MAX_SKEW_MS) * 1_000_000n;
    if (wire.peerId === "" || isPoisoned || path.length > MAX_HOPS) return "refused";
    if ([origin, ...path].some(({ length }) => length > MAX_RELAY_ID_CHARS)) return "refused";
    const isGone = wire.removed || toMs(wire.expiresAt) <= nowMs;
    if (isGone) return await this.#takeGone(wire, { origin, path, from });
    const entry = this.#toEntry(wire, { origin, path, from });
    if (!entry.verified) {
      if (!from.trusted) return "refused";
      this.deps.admission.checkId(entry.peerId);
      checkRegistryFacts(entry);
    }
    if (entry.skills.length === 0) return "refused";
    return this.#isNews(entry) ? this.#put(entry, from) : "stale";
  }

  async #takeGone(
    wire: FederatedRegistration,
    { origin, path, from }: { origin: string; path: readonly string[]; from: Neighbor },
  ): Promise<Merged> {
    const { directory, registry, clock } = this.deps;
    const nowMs = clock.now();
    const signed = toSignedRecord(wire.signedRecord);
    const record = signed && openRecordOf(wire.peerId, signed, nowMs);
    const withdrawal = { peerId: wire.peerId, signed, origin, version: wire.version, path, atMs: nowMs };
    if (record?.removed) {
      const { sequence, expiresAtMs: keepUntilMs } = record;
      const isNews = await registry.takeWithdrawal({ ...withdrawal, byPeer: true, sequence, keepUntilMs });
      return isNews ? "accepted" : "stale";
    }
    if (!from.trusted) return "refused";
    const entry = directory.elsewhere.get(wire.peerId);
    if (entry?.viaRelayId !== origin || wire.version <= entry.version) return "stale";
    directory.withdraw({
      ...withdrawal,
      signed: entry.signed,
      byPeer: false,
      sequence: entry.sequence,
      keepUntilMs: nowMs + MAX_TOLD_MS,
    });
    return "accepted";
  }

  /** The entry with its times cut to what may be believed. A record that is known already is not checked again. */
  #toEntry(
    wire: FederatedRegistration,
    { origin, path, from }: { origin: string; path: readonly string[]; from: Neighbor },
  ): Entry {
    const nowMs = this.deps.clock.now();
    const known = this.deps.directory.elsewhere.get(wire.peerId);
    const payload = wire.signedRecord?.payload;
    const isKnown = payload !== undefined && known?.signed !== undefined && known.recordExpiresAtMs > nowMs &&
      Buffer.compare(payload, known.signed.payload) === 0;
    const entry = isKnown ? { ...known, version: wire.version } : toEntry(wire, { nowMs });
    const untilMs = Math.min(toMs(wire.expiresAt), nowMs + MAX_TOLD_MS, entry.recordExpiresAtMs);
    return {
      ...entry,
      viaRelayId: origin,
      path,
      expiresAtMs: untilMs,
      toldUntilMs: untilMs,
      registeredAtMs: within(entry.registeredAtMs, nowMs),
      lastSeenMs: isKnown ? nowMs : within(entry.lastSeenMs, nowMs),
      host: from.trusted ? `relay ${from.relayId}` : STRANGERS,
    };
  }

  #isNews(entry: Entry): boolean {
    const { directory } = this.deps;
    const withdrawal = directory.withdrawal(entry.peerId);
    if (withdrawal !== undefined) {
      const { byPeer, sequence, origin, version } = withdrawal;
      if (byPeer && (!entry.verified || entry.sequence <= sequence)) return false;
      if (entry.verified && entry.sequence < sequence) return false;
      if (origin === entry.viaRelayId && entry.version <= version) return false;
    }
    if (!entry.verified && directory.held(entry.peerId)?.verified) return false;
    const before = directory.elsewhere.get(entry.peerId);
    if (before === undefined || before.expiresAtMs <= this.deps.clock.now()) return true;
    if (before.verified !== entry.verified) return entry.verified;
    if (before.sequence !== entry.sequence) return entry.sequence > before.sequence;
    if (before.version !== entry.version) return entry.version > before.version;
    // Relays of the existing network renew an entry without a new version.
    return before.viaRelayId === entry.viaRelayId && entry.expiresAtMs > before.expiresAtMs + 1_000;
  }

  #put(entry: Entry, from: Neighbor): Merged {
    const { directory, capacity } = this.deps;
    const isNew = directory.elsewhere.get(entry.peerId) === undefined;
    const isTooMuch = !from.trusted && isNew &&
      directory.elsewhere.countOf(STRANGERS) >= Math.ceil(capacity * STRANGERS_SHARE);
    if (isTooMuch || !directory.hasRoomElsewhere(entry)) return "refused";
    directory.putElsewhere(entry);
    return "accepted";
  }
}

/** A time that another relay tells, between the epoch and now: others may be no date at all. */
function within(toldMs: number, nowMs: number): number {
  return Math.max(0, Math.min(toldMs, nowMs));
}

/** The relays an entry came through, the origin first and the one it comes from last. */
function pathOf({ path }: FederatedRegistration, origin: string, from: string): readonly string[] {
  const given = path.length > 0 ? path : [origin];
  return given.at(-1) === from ? given : [...given, from];
}
