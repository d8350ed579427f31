import type { JsonValue } from "../../core/json.ts";
import type { A2aEvent } from "../a2a_api/task_events.ts";

/** How often a silent stream says that it is there, in milliseconds: proxies cut those that do not. */
const PULSE_MS = 15_000;

export interface SseOptions {
  /** What an event is in the binding. */
  encode: (event: A2aEvent) => JsonValue;
  /** What an error is that comes when the stream has begun. */
  encodeError: (error: unknown) => JsonValue;
  signal: AbortSignal;
}

/**
 * The events as an answer of Server-Sent Events, each with the generation of its task as its id, so that a client that comes
 * back can name the last one it has. It fails as the first event does: there is an ordinary error to answer with then.
 */
export async function toSse(events: AsyncGenerator<A2aEvent>, options: SseOptions): Promise<Response> {
  const first = await events.next();
  const encoder = new TextEncoder();
  let pulse: ReturnType<typeof setInterval> | undefined;
  const end = () => {
    clearInterval(pulse);
    pulse = undefined;
  };
  let next: IteratorResult<A2aEvent> | undefined = first;
  const body = new ReadableStream<Uint8Array>({
    start(stream) {
      pulse = setInterval(() => {
        // Only while nothing else is on its way.
        if ((stream.desiredSize ?? 0) > 0) stream.enqueue(encoder.encode(": still here\n\n"));
      }, PULSE_MS);
    },
    async pull(stream) {
      try {
        const result = next ?? await events.next();
        next = undefined;
        if (result.done) {
          end();
          stream.close();
        } else stream.enqueue(encoder.encode(toText(result.value.id, options.encode(result.value))));
      } catch (error) {
        end();
        if (!options.signal.aborted) {
          const told = JSON.stringify(options.encodeError(error));
          stream.enqueue(encoder.encode(`event: error\ndata: ${told}\n\n`));
        }
        stream.close();
      }
    },
    cancel() {
      end();
      // Not waited for: the generator ends when the signal of its call fires.
      void events.return(undefined);
    },
  }, { highWaterMark: 1 });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    },
  });
}

function toText(id: number, data: JsonValue): string {
  return `id: ${id}\ndata: ${JSON.stringify(data)}\n\n`;
}
