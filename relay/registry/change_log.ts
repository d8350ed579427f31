/** A change of what this relay holds of one peer. */
export interface Change {
  /** Counts the changes of this relay, from 1. */
  readonly number: number;
  readonly peerId: string;
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number;
}

/** Fewest outdated changes at which the list is rebuilt. */
const MIN_OUTDATED = 1_024;

/**
 * The last change of each peer, in order: whoever knows all up to one number asks for what came behind it and misses nothing,
 * whatever the limit and the clocks. Bounded by the number of peers.
 */
export class ChangeLog {
  readonly #last = new Map<string, number>();
  #changes: Change[] = [];
  #number = 0;

  /** The number of the last change; 0 when there was none. */
  get number(): number {
    return this.#number;
  }

  /** Notes that what is held of a peer has changed. */
  note(peerId: string, nowMs: number): void {
    const atMs = Math.max(nowMs, this.#changes.at(-1)?.atMs ?? 0); // the clock may step back, the order may not
    this.#last.set(peerId, ++this.#number);
    this.#changes.push({ number: this.#number, peerId, atMs });
    if (this.#changes.length >= 2 * this.#last.size + MIN_OUTDATED) this.#compact();
  }

  /** Forgets a peer of which there is nothing more to tell. */
  forget(peerId: string): void {
    this.#last.delete(peerId);
  }

  /** The changes behind `number`, oldest first; of each peer only its last. */
  *after(number: number): Generator<Change> {
    for (let at = this.#position((change) => change.number > number); at < this.#changes.length; at++) {
      const change = this.#changes[at] as Change;
      if (this.#last.get(change.peerId) === change.number) yield change;
    }
  }

  /** The number behind which all changes at or after `atMs` are. */
  numberBefore(atMs: number): number {
    const first = this.#changes[this.#position((change) => change.atMs >= atMs)];
    return first === undefined ? this.#number : first.number - 1;
  }

  #compact(): void {
    this.#changes = this.#changes.filter(({ peerId, number }) => this.#last.get(peerId) === number);
  }

  /** Index of the first change of which `isBehind` holds. */
  #position(isBehind: (change: Change) => boolean): number {
    let low = 0;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBehind(this.#changes[middle] as Change)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
