import { Channel } from "../core/channel.ts";
import { CodedError } from "../core/errors.ts";

/** Events held for one slow subscriber before it is cut off. */
const MAX_BUFFERED_EVENTS = 1024;
const MAX_SUBSCRIBERS = 10_000;

/**
 * Hands events to whoever subscribed to a topic. A subscriber that falls too far behind is ended with
 * `resource_exhausted` instead of missing an event: it subscribes again and is told the current state.
 */
export class Subscriptions<T> {
  readonly #topics = new Map<string, Set<Channel<T>>>();
  #count = 0;

  /** A stream of the events of `topic`, beginning with `replay`. It ends when the loop is left or `signal` fires. */
  subscribe(topic: string, replay: readonly T[], signal?: AbortSignal): Channel<T> {
    if (this.#count >= MAX_SUBSCRIBERS) {
      throw new CodedError(
        "resource_exhausted",
        `Cannot subscribe: ${this.#count} subscriptions are open already`,
      );
    }
    const channels = this.#topics.get(topic) ?? new Set();
    const onAbort = () => channel.close();
    const channel = new Channel<T>(MAX_BUFFERED_EVENTS + replay.length, () => {
      signal?.removeEventListener("abort", onAbort);
      this.#count--;
      channels.delete(channel);
      if (channels.size === 0 && this.#topics.get(topic) === channels) this.#topics.delete(topic);
    });
    this.#topics.set(topic, channels.add(channel));
    this.#count++;
    for (const event of replay) channel.push(event);
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) channel.close();
    return channel;
  }

  /** Whether anybody subscribes to `topic`. */
  has(topic: string): boolean {
    return this.#topics.has(topic);
  }

  /** Tells every subscriber of `topic`; with `last`, ends their streams after the event. */
  publish(topic: string, event: T, options: { last?: boolean } = {}): void {
    for (const channel of [...this.#topics.get(topic) ?? []]) {
      if (!channel.push(event)) {
        channel.close(
          new CodedError(
            "resource_exhausted",
            "The subscriber fell behind: subscribe again for the current state",
          ),
        );
      } else if (options.last) channel.close();
    }
  }

  /** Ends all streams with `error`. */
  close(error: CodedError): void {
    for (const channels of [...this.#topics.values()]) {
      for (const channel of [...channels]) channel.close(error);
    }
  }
}
