import { CodedError } from "../../../core/errors.ts";
import type { SafeFetch, SafeFetchInit } from "../../../http/mod.ts";

const EVENT_STREAM = "text/event-stream";
/** Longest event of a stream, in characters. */
const MAX_EVENT_LENGTH = 16 * 1024 * 1024;

/** Statuses that are no answer of the agent, and what they mean. */
const STATUSES: Readonly<Record<number, (origin: string, response: Response) => CodedError>> = {
  401: (origin) =>
    new CodedError(
      "unauthenticated",
      `${origin} wants credentials: give them in the credentials file of this node`,
    ),
  403: (origin) =>
    new CodedError(
      "permission_denied",
      `${origin} does not let this node in: check the credentials it gives`,
    ),
  408: (origin) => lost(origin, 408),
  429: busy,
  502: (origin) => lost(origin, 502),
  503: busy,
  504: (origin) => lost(origin, 504),
};

function lost(origin: string, status: number): CodedError {
  return new CodedError(
    "unavailable",
    `${origin} answered with ${status}: what is behind it cannot be reached`,
    {
      details: { sent: "maybe" },
    },
  );
}

function busy(origin: string, response: Response): CodedError {
  const retryAfter = response.headers.get("retry-after") ?? "";
  return new CodedError("resource_exhausted", `${origin} is busy (${response.status})`, {
    details: { retryAfter },
  });
}

/**
 * A `fetch` for the A2A library over `safeFetch`: a status that is no answer of the agent becomes a CodedError, an answer
 * that is no stream although one was asked for becomes a stream of one event, and an event must be JSON.
 */
export function createAgentFetch(
  safeFetch: SafeFetch,
  bounds: SafeFetchInit,
  stream: SafeFetchInit,
): typeof fetch {
  return async (input, init) => {
    const wantsStream = new Headers(init?.headers).get("accept") === EVENT_STREAM;
    const response = await safeFetch(input, { ...init, ...(wantsStream ? stream : bounds) });
    const toError = STATUSES[response.status];
    if (toError !== undefined) {
      await response.body?.cancel();
      throw toError(new URL(response.url).origin, response);
    }
    if (!wantsStream || !response.ok || response.body === null) return response;
    const isStream = response.headers.get("content-type")?.startsWith(EVENT_STREAM);
    const body = isStream ? response.body.pipeThrough(checkedEvents()) : asEvent(await response.text());
    return new Response(body, { status: response.status, headers: { "content-type": EVENT_STREAM } });
  };
}

function asEvent(json: string): string {
  return `data: ${json.replaceAll(/[\r\n]+/g, " ")}\n\n`;
}

/** Passes an event stream on; fails when the data of an event is not JSON, before anybody prints it. */
function checkedEvents(): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  /** Of the event that is coming in. */
  let size = 0;
  return new TransformStream({
    transform(chunk, controller) {
      const text = decoder.decode(chunk, { stream: true });
      rest += text;
      size += text.length;
      if (size > MAX_EVENT_LENGTH) throw tooLong();
      // A line that goes on is not searched again from its beginning.
      if (!text.includes("\n")) return controller.enqueue(chunk);
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines.map((one) => one.replace(/\r$/, ""))) {
        if (line.startsWith("data:")) data.push(line.slice("data:".length));
        if (line !== "") continue;
        size = rest.length;
        if (data.length > 0) checkJson(data.join("\n"));
        data = [];
      }
      controller.enqueue(chunk);
    },
    flush() {
      if (rest.startsWith("data:")) data.push(rest.slice("data:".length));
      if (data.length > 0) checkJson(data.join("\n"));
    },
  });
}

function tooLong(): CodedError {
  return new CodedError(
    "resource_exhausted",
    `The agent sent an event of more than ${MAX_EVENT_LENGTH} characters: it is given up`,
  );
}

function checkJson(text: string): void {
  try {
    JSON.parse(text);
  } catch (cause) {
    throw new CodedError(
      "data_loss",
      "The agent sent an event that is not JSON: its A2A server is at fault",
      {
        cause,
      },
    );
  }
}
