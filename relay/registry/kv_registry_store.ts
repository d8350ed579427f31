import type { Clock } from "../../core/clock.ts";
import { CodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { type KvStore, registrationKey, registrationPrefix } from "../../kv/mod.ts";
import { toMs, toSignedRecord } from "../../registry/mod.ts";
import type { Entry } from "./entry.ts";
import {
  decodeWireEntry,
  encodeWireEntry,
  fromEntry,
  fromWithdrawal,
  openRecordOf,
  toEntry,
} from "./entry_codec.ts";
import type { RegistryStore, Stored } from "./registry_store.ts";
import type { Withdrawal } from "./withdrawals.ts";

/** Most keys in one commit that deletes, and registrations in one that writes: each may have 32 KiB. */
const BATCH = 500;
const REFRESH_BATCH = 16;

/** What a store of registrations works with; the key-value store is its owner's to close. */
export interface KvRegistryStoreDeps {
  readonly kv: KvStore;
  /** Peer id of this relay: others may keep theirs in the same store. */
  readonly relayId: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Registrations in a key-value store: of each peer one value, the registration or its withdrawal. */
export class KvRegistryStore implements RegistryStore {
  constructor(readonly deps: KvRegistryStoreDeps) {}

  async load(): Promise<Stored> {
    const { kv, relayId, clock, logger } = this.deps;
    const entries: Entry[] = [];
    const withdrawals: Withdrawal[] = [];
    const useless: string[] = [];
    for await (
      const { key, value } of kv.list(registrationPrefix(relayId), {
        onDamaged: (key) => void useless.push(String(key.at(-1))),
      })
    ) {
      try {
        const found = readStored(value, clock.now());
        if ("atMs" in found) withdrawals.push(found);
        else entries.push(found);
      } catch (error) {
        // What a peer signed may have expired while the relay was down.
        const isExpired = error instanceof CodedError && error.code === "failed_precondition";
        if (!isExpired) {
          logger.warn("Dropped a stored registration that cannot be read", { peerId: key.at(-1), error });
        }
        useless.push(String(key.at(-1)));
      }
    }
    await this.forget(useless);
    return { entries, withdrawals };
  }

  async save(entry: Entry): Promise<void> {
    await this.#set(entry.peerId, encodeWireEntry(fromEntry(entry)));
  }

  async withdraw(withdrawal: Withdrawal): Promise<void> {
    await this.#set(withdrawal.peerId, encodeWireEntry(fromWithdrawal(withdrawal)));
  }

  async refresh(entries: readonly Entry[]): Promise<void> {
    const { kv, relayId } = this.deps;
    for (let at = 0; at < entries.length; at += REFRESH_BATCH) {
      const batch = entries.slice(at, at + REFRESH_BATCH);
      await kv.commit(batch.map((entry) => ({
        op: "set",
        key: registrationKey(relayId, entry.peerId),
        value: encodeWireEntry(fromEntry(entry)),
      })));
    }
  }

  async forget(peerIds: readonly string[]): Promise<void> {
    for (let at = 0; at < peerIds.length; at += BATCH) {
      const batch = peerIds.slice(at, at + BATCH);
      const { kv, relayId } = this.deps;
      await kv.commit(batch.map((peerId) => ({ op: "delete", key: registrationKey(relayId, peerId) })));
    }
  }

  async #set(peerId: string, value: Uint8Array): Promise<void> {
    const { kv, relayId } = this.deps;
    await kv.commit([{ op: "set", key: registrationKey(relayId, peerId), value }]);
  }
}

function readStored(value: Uint8Array, nowMs: number): Entry | Withdrawal {
  const wire = decodeWireEntry(value);
  if (!wire.removed) return toEntry(wire, { nowMs });
  const signed = toSignedRecord(wire.signedRecord);
  const record = signed && openRecordOf(wire.peerId, signed, nowMs);
  if (record === undefined) {
    throw new CodedError("failed_precondition", "Nothing that would come back is withdrawn");
  }
  return {
    peerId: wire.peerId,
    byPeer: record.removed,
    signed,
    sequence: record.sequence,
    origin: wire.originRelayId,
    version: wire.version,
    path: wire.path,
    atMs: toMs(wire.registeredAt),
    keepUntilMs: record.expiresAtMs,
  };
}
