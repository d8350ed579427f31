import type { Directory } from "../registry/directory.ts";
import { fromEntry, fromWithdrawal, type WireEntry } from "../registry/entry_codec.ts";

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
  for (const change of directory.changes.after(after)) {
    if (entries.length === limit) return { entries, number, lastAtMs, more: true };
    const wire = currentState(directory, change.peerId);
    const path = wire?.path ?? [];
    if (wire !== undefined && !path.includes(to) && (transitive || path.length === 0)) {
      entries.push({ ...wire, path: [...path, relayId] });
    }
    number = change.number;
    lastAtMs = change.atMs;
  }
  return { entries, number: directory.changes.number, lastAtMs, more: false };
}

/** What there is to tell of a peer: its registration here, else one from elsewhere, else that it is gone. */
function currentState(directory: Directory, peerId: string): WireEntry | undefined {
  const entry = directory.held(peerId) ?? directory.elsewhere.get(peerId);
  if (entry !== undefined) return fromEntry(entry);
  const withdrawal = directory.withdrawal(peerId);
  return withdrawal && fromWithdrawal(withdrawal);
}
