import type { Answer } from "../../a2a/mod.ts";
import { CodedError, toCodedError } from "../../core/errors.ts";

/** Envelopes that may wait for an ACK at once, all peers together. */
const MAX_WAITING = 4096;

/** An encoded `A2AEnvelope` and its id. */
export interface EncodedEnvelope {
  readonly envelopeId: string;
  readonly bytes: Uint8Array;
}

/** Sends one frame to a peer; resolves when it has left. */
export type SendFrame = (
  peerId: string,
  frame: Uint8Array,
  options: { signal: AbortSignal },
) => Promise<void>;

interface Waiter {
  readonly envelopeId: string;
  readonly acknowledged: PromiseWithResolvers<Answer>;
}

/** The way of 1.0: an envelope is one frame, and its answer an ACK envelope that comes on a stream of the peer's own. */
export class Acknowledgements {
  readonly #waiters = new Map<string, Set<Waiter>>();
  #count = 0;

  /**
   * Sends an envelope and waits for the peer's ACK of it, which says that it was taken or refused for good.
   * @throws CodedError as sending does; `unavailable` when the peer went away before its ACK, `resource_exhausted` when too
   * many wait, and by `signal`.
   */
  async send(
    peerId: string,
    { envelopeId, bytes }: EncodedEnvelope,
    { send, signal }: { send: SendFrame; signal: AbortSignal },
  ): Promise<Answer> {
    if (signal.aborted) throw toCodedError(signal.reason);
    if (this.#count >= MAX_WAITING) {
      throw new CodedError("resource_exhausted", "Could not send: too many envelopes wait for their ACK");
    }
    const acknowledged = Promise.withResolvers<Answer>();
    acknowledged.promise.catch(() => {
      // Awaited below; here lest it counts as unhandled while the frame is still leaving.
    });
    const waiter: Waiter = { envelopeId, acknowledged };
    const onAbort = () => acknowledged.reject(toCodedError(signal.reason));
    signal.addEventListener("abort", onAbort, { once: true });
    this.#add(peerId, waiter);
    try {
      await send(peerId, bytes, { signal });
      return await acknowledged.promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#remove(peerId, waiter);
    }
  }

  /** Takes the ACK of a peer; one that nobody waits for is ignored. */
  onAck(peerId: string, envelopeId: string): void {
    for (const waiter of this.#waiters.get(peerId) ?? []) {
      if (waiter.envelopeId === envelopeId) waiter.acknowledged.resolve({ outcome: "taken" });
    }
  }

  /** The peer went away: its ACKs may not come any more. */
  onDisconnected(peerId: string): void {
    for (const { acknowledged } of this.#waiters.get(peerId) ?? []) {
      acknowledged.reject(
        new CodedError("unavailable", "The peer went away before it acknowledged; send again"),
      );
    }
  }

  #add(peerId: string, waiter: Waiter): void {
    const waiters = this.#waiters.get(peerId) ?? new Set();
    this.#waiters.set(peerId, waiters.add(waiter));
    this.#count++;
  }

  #remove(peerId: string, waiter: Waiter): void {
    const waiters = this.#waiters.get(peerId);
    if (!waiters?.delete(waiter)) return;
    this.#count--;
    if (waiters.size === 0) this.#waiters.delete(peerId);
  }
}
