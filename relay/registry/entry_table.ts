import { addressBlock } from "../../core/address_block.ts";
import { type Entry, sizeOf } from "./entry.ts";
import { SortedIds } from "./sorted_ids.ts";

/** Entries by peer, with what it takes to find them by skill. One per peer. */
export class EntryTable {
  readonly #entries = new Map<string, Entry>();
  readonly #bySkill = new Map<string, SortedIds>();
  readonly #byBlock = new Map<string, number>();
  readonly #skillIds = new SortedIds();
  readonly ids = new SortedIds();
  #bytes = 0;

  get size(): number {
    return this.#entries.size;
  }

  /** What all entries take, about. */
  get bytes(): number {
    return this.#bytes;
  }

  get skillCount(): number {
    return this.#bySkill.size;
  }

  get(peerId: string): Entry | undefined {
    return this.#entries.get(peerId);
  }

  values(): IterableIterator<Entry> {
    return this.#entries.values();
  }

  /** How many were registered from `host` and the addresses that go with it. */
  countOf(host: string): number {
    return this.#byBlock.get(addressBlock(host)) ?? 0;
  }

  /** Puts an entry in place of the one of its peer. */
  put(entry: Entry): void {
    const before = this.#entries.get(entry.peerId);
    this.#entries.set(entry.peerId, entry);
    if (before?.skills === entry.skills && before.host === entry.host) return; // only renewed
    this.#count(entry, 1);
    if (before === undefined) this.ids.add(entry.peerId);
    else {
      this.#count(before, -1);
      this.#unindex(before);
    }
    for (const { id } of entry.skills) this.#idsOf(id).add(entry.peerId);
  }

  delete(peerId: string): Entry | undefined {
    const entry = this.#entries.get(peerId);
    if (entry === undefined) return undefined;
    this.#entries.delete(peerId);
    this.ids.delete(peerId);
    this.#count(entry, -1);
    this.#unindex(entry);
    return entry;
  }

  /** The peers with a skill. */
  withSkill(skillId: string): SortedIds {
    return this.#bySkill.get(skillId) ?? NONE;
  }

  /** The skills that begin with `prefix`. */
  skillIds(prefix = ""): Generator<string> {
    return this.#skillIds.withPrefix(prefix);
  }

  #idsOf(skillId: string): SortedIds {
    let ids = this.#bySkill.get(skillId);
    if (ids === undefined) {
      ids = new SortedIds();
      this.#bySkill.set(skillId, ids);
      this.#skillIds.add(skillId);
    }
    return ids;
  }

  #unindex({ peerId, skills }: Entry): void {
    for (const { id } of skills) {
      const ids = this.#bySkill.get(id);
      ids?.delete(peerId);
      if (ids?.size !== 0) continue;
      this.#bySkill.delete(id);
      this.#skillIds.delete(id);
    }
  }

  #count(entry: Entry, sign: 1 | -1): void {
    this.#bytes += sign * sizeOf(entry);
    if (entry.host === "") return;
    const block = addressBlock(entry.host);
    const left = (this.#byBlock.get(block) ?? 0) + sign;
    if (left > 0) this.#byBlock.set(block, left);
    else this.#byBlock.delete(block);
  }
}

const NONE = new SortedIds();
