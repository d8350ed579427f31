import { CodedError } from "../../core/errors.ts";
import { Channel } from "../../core/channel.ts";
import type { Directory, DirectoryEvent } from "../registry/directory.ts";
import { toAgentJson } from "./agent_json.ts";

/** Readers at once, and events that one may be behind: then its stream ends, and it reads the list anew. */
const MAX_READERS = 256;
const MAX_BEHIND = 1_000;
/** A comment this often keeps proxies from cutting a silent stream, in milliseconds. */
const KEEP_ALIVE_MS = 15_000;

/** Changes of the registry as server-sent events (`registered`, `updated`, `removed`). Disposing it, again too, ends the streams. */
export class EventFeed implements Disposable {
  readonly #directory: Directory;
  readonly #readers = new Set<Channel<string>>();
  readonly #unsubscribe: () => void;
  readonly #timer: ReturnType<typeof setInterval>;
  #lastId = 0;

  constructor(directory: Directory) {
    this.#directory = directory;
    this.#unsubscribe = directory.onChange((event) => this.#send(event));
    this.#timer = setInterval(() => this.#write(": still there\n\n"), KEEP_ALIVE_MS);
    Deno.unrefTimer(this.#timer);
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** A stream for one reader, until `signal` fires. Throws `resource_exhausted` when there are too many. */
  open(signal: AbortSignal): Response {
    if (this.#readers.size >= MAX_READERS) {
      throw new CodedError(
        "resource_exhausted",
        `${MAX_READERS} streams of events are open: try again later`,
      );
    }
    const channel = new Channel<string>(MAX_BEHIND, () => this.#readers.delete(channel));
    channel.push(": changes of the registry\nretry: 2000\n\n");
    this.#readers.add(channel);
    signal.addEventListener("abort", () => channel.close(), { once: true });
    const body = ReadableStream.from(channel).pipeThrough(new TextEncoderStream());
    return new Response(body, {
      headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
    });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#unsubscribe();
    for (const channel of [...this.#readers]) channel.close();
  }

  #send({ type, peerId }: DirectoryEvent): void {
    if (this.#readers.size === 0) return;
    const entry = this.#directory.get(peerId);
    const data = entry === undefined ? { peer_id: peerId } : toAgentJson(entry);
    this.#write(`id: ${++this.#lastId}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  #write(text: string): void {
    for (const channel of [...this.#readers]) if (!channel.push(text)) channel.close();
  }
}
