import { CodedError } from "../core/errors.ts";

/** Most bytes held at once. */
export interface ByteBudgetOptions {
  totalBytes: number;
  bytesPerPeer: number;
}

/** A share of a {@link ByteBudget}; disposing it gives everything back. */
export interface ByteLease extends Disposable {
  /** Sets the bytes held. Throws `resource_exhausted`, holding what it held, when the budget does not allow it. */
  resize(byteLength: number): void;
}

/** Counts the bytes of unfinished inbound frames, per peer and together, so that no peer can fill the memory. */
export class ByteBudget {
  readonly #byPeer = new Map<string, number>();
  #usedBytes = 0;

  constructor(readonly options: ByteBudgetOptions) {}

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** An empty share for one stream of `peerId`. */
  lease(peerId: string): ByteLease {
    let held = 0;
    const resize = (byteLength: number) => {
      const change = byteLength - held;
      const ofPeer = (this.#byPeer.get(peerId) ?? 0) + change;
      const { totalBytes, bytesPerPeer } = this.options;
      if (change > 0 && (ofPeer > bytesPerPeer || this.#usedBytes + change > totalBytes)) {
        throw new CodedError(
          "resource_exhausted",
          `Could not take more bytes: ${ofPeer} under way from the peer (limit ${bytesPerPeer}), ` +
            `${this.#usedBytes + change} in all (limit ${totalBytes}); send again when less is under way`,
        );
      }
      held = byteLength;
      this.#usedBytes += change;
      if (ofPeer > 0) this.#byPeer.set(peerId, ofPeer);
      else this.#byPeer.delete(peerId);
    };
    return { resize, [Symbol.dispose]: () => resize(0) };
  }
}
