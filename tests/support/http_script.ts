/** A request as a script saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  /** The body, when it was JSON. */
  readonly json: Record<string, unknown> | undefined;
}

export interface HttpScript extends AsyncDisposable {
  readonly url: string;
  readonly seen: SeenRequest[];
}

/** A server on loopback that answers as `answer` says; undefined is 404. */
export function startHttpScript(
  answer: (request: SeenRequest, url: string) => Response | object | undefined,
  tls: { cert: string; key: string } | Record<never, never> = {},
): HttpScript {
  const seen: SeenRequest[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {}, ...tls }, async (request) => {
    const text = await request.text();
    const { pathname, search } = new URL(request.url);
    const json = text.startsWith("{") ? JSON.parse(text) : undefined;
    const one = { method: request.method, path: pathname + search, headers: request.headers, json };
    seen.push(one);
    const given = answer(one, url);
    if (given === undefined) return new Response("nothing here", { status: 404 });
    return given instanceof Response ? given : Response.json(given);
  });
  const url = `http${"cert" in tls ? "s" : ""}://127.0.0.1:${(server.addr as Deno.NetAddr).port}`;
  return { url, seen, [Symbol.asyncDispose]: () => server.shutdown() };
}
