import { within } from "./patience.ts";

/** A notification as it came in. */
export interface ReceivedNotification {
  readonly headers: Headers;
  readonly text: string;
}

/** A server that takes notifications and hands them out in order. */
export interface WebhookReceiver extends AsyncDisposable {
  readonly url: string;
  /** How many have come. */
  readonly count: number;
  /** The next one. */
  next(): Promise<ReceivedNotification>;
}

/** Starts one on loopback. @param options.answer what each notification is answered with; default 200. */
export function startWebhookReceiver(
  options: { answer?: (count: number) => Response } = {},
): Promise<WebhookReceiver> {
  const { answer = () => new Response() } = options;
  const came: ReceivedNotification[] = [];
  const waiting: ((one: ReceivedNotification) => void)[] = [];
  let count = 0;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const one = { headers: request.headers, text: await request.text() };
    const response = answer(count++);
    const take = waiting.shift();
    if (take === undefined) came.push(one);
    else take(one);
    return response;
  });
  return Promise.resolve({
    url: `http://127.0.0.1:${server.addr.port}/hook`,
    get count() {
      return count;
    },
    next: () => {
      const one = came.shift();
      if (one !== undefined) return Promise.resolve(one);
      return within(
        `notification ${count + waiting.length + 1}`,
        new Promise((resolve) => waiting.push(resolve)),
      );
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  });
}
