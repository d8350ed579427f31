import type { Directory } from "../registry/directory.ts";
import { sizeOf } from "../registry/entry.ts";
import { fromEntry, fromWithdrawal, type WireEntry } from "../registry/entry_codec.ts";

/**
 * Bytes of entries, about, that are told at once: half of what relays of this program take in one message, and what relays of
 * the existing network do, which cannot go on within one millisecond.
 */
const MAX_BYTES = 512 * 1024;
const MAX_BYTES_TO_EXISTING = 3 * 1024 * 1024;

/** To whom changes are told. */
export interface TellOptions {
  /** The relay that is told: what came through it is left out. */
  readonly to: string;
  /** Also what this relay has from others. */
  readonly transitive: boolean;
  /** Most entries. */
  readonly limit: number;
}

/** Some changes, and how to go on. */
export interface ToldChanges {
  readonly entries: WireEntry[];
  /** All changes up to this one are told. */
  readonly number: number;
  /** When the last of them happened, in milliseconds; 0 when there was none. */
  readonly lastAtMs: number;
  readonly more: boolean;
}

/** What changed behind the change `after`, oldest first, as another relay is told it. */
export function toldChanges(
  { directory, relayId }: { directory: Directory; relayId: string },
  after: number,
  { to, transitive, limit }: TellOptions,
): ToldChanges {
  const entries: WireEntry[] = [];
  let number = after;
  let lastAtMs = 0;
  let bytes = 0;
  for (const change of directory.changes.after(after)) {
    if (entries.length === limit || bytes >= (transitive ? MAX_BYTES : MAX_BYTES_TO_EXISTING)) {
      return { entries, number, lastAtMs, more: true };
    }
    const { wire, size } = currentState(directory, change.peerId);
    const path = wire?.path ?? [];
    if (wire !== undefined && !path.includes(to) && (transitive || path.length === 0)) {
      entries.push({ ...wire, path: [...path, relayId] });
      bytes += size;
    }
    number = change.number;
    lastAtMs = change.atMs;
  }
  return { entries, number: directory.changes.number, lastAtMs, more: false };
}

/** What there is to tell of a peer: its registration here, else one from elsewhere, else that it is gone. */
function currentState(directory: Directory, peerId: string): { wire?: WireEntry; size: number } {
  const entry = directory.held(peerId) ?? directory.elsewhere.get(peerId);
  if (entry !== undefined) return { wire: fromEntry(entry), size: sizeOf(entry) };
  const withdrawal = directory.withdrawal(peerId);
  if (withdrawal === undefined) return { size: 0 };
  return { wire: fromWithdrawal(withdrawal), size: withdrawal.signed?.payload.length ?? 0 };
}
