import type { ArtifactChannel, ReceiverMessage, SenderMessage } from "../../a2a/mod.ts";
import { abortable } from "../../core/abortable.ts";
import { CodedError } from "../../core/errors.ts";

/** Both ends of a way of an artifact that does not leave this node. */
export interface LocalChannel {
  readonly sender: ArtifactChannel<SenderMessage, ReceiverMessage>;
  readonly receiver: ArtifactChannel<ReceiverMessage, SenderMessage>;
}

/** A channel within the process: a message is sent when the other end has taken it, so nothing is buffered. */
export function createLocalChannel(peerId: string): LocalChannel {
  const broken = new AbortController();
  const there = new Lane<SenderMessage>(broken.signal);
  const back = new Lane<ReceiverMessage>(broken.signal);
  const abort = (reason: Error) => broken.abort(reason);
  return {
    sender: endOf({ peerId, out: there, incoming: back, abort }),
    receiver: endOf({ peerId, out: back, incoming: there, abort }),
  };
}

function endOf<O, I>(
  { peerId, out, incoming, abort }: {
    peerId: string;
    out: Lane<O>;
    incoming: Lane<I>;
    abort: (reason: Error) => void;
  },
): ArtifactChannel<O, I> {
  return {
    peerId,
    send: (message, options) => out.put(message, options?.signal),
    messages: () => incoming,
    close: () => Promise.resolve(out.end()),
    abort,
  };
}

/** One direction: one writer, one reader, one message at a time. */
class Lane<T> implements AsyncIterable<T> {
  #waiting: { readonly item: T; readonly taken: () => void }[] = [];
  #ended = false;
  #change = Promise.withResolvers<void>();

  constructor(readonly broken: AbortSignal) {}

  async put(item: T, signal: AbortSignal = this.broken): Promise<void> {
    this.broken.throwIfAborted();
    if (this.#ended) throw new CodedError("unavailable", "The channel has ended");
    const { promise, resolve: taken } = Promise.withResolvers<void>();
    const entry = { item, taken };
    this.#waiting.push(entry);
    this.#wake();
    try {
      await abortable(promise, AbortSignal.any([this.broken, signal]));
    } finally {
      this.#waiting = this.#waiting.filter((one) => one !== entry);
    }
  }

  end(): void {
    this.#ended = true;
    for (const { taken } of this.#waiting.splice(0)) taken();
    this.#wake();
  }

  /** Not a generator: `return()` must get through while a message is waited for. */
  [Symbol.asyncIterator](): AsyncIterator<T> {
    return {
      next: () => this.#next(),
      return: () => {
        this.end();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  async #next(): Promise<IteratorResult<T>> {
    while (true) {
      const change = this.#change.promise;
      const next = this.#waiting.shift();
      if (next !== undefined) {
        next.taken();
        return { done: false, value: next.item };
      }
      if (this.#ended) return { done: true, value: undefined };
      await abortable(change, this.broken);
    }
  }

  #wake(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers<void>();
  }
}
