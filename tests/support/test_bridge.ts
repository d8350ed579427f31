import { startBridgeAgent } from "./bridge_agent.ts";
import { startTestDaemon, type TestDaemon } from "./test_daemon.ts";

/** Any JSON, for what tests look into. */
// deno-lint-ignore no-explicit-any -- answers are looked into member by member
export type Json = any;

/** An answer with its body read. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; undefined when it is none. */
  readonly json: Json;
}

/** A daemon with a bridge, an agent, and ways to call it. */
export interface TestBridge extends AsyncDisposable {
  readonly url: string;
  readonly node: TestDaemon;
  /** Calls a method of JSON-RPC, of A2A 1.0 unless headers say otherwise, and answers what came back. */
  rpc(method: string, params: Json, headers?: Record<string, string>): Promise<Answer>;
  /** The same below a path, such as `/agents/<peer id>`. */
  rpcAt(path: string, method: string, params: Json): Promise<Answer>;
  /** Calls the REST binding, A2A 1.0 unless headers say otherwise. */
  rest(
    method: string,
    path: string,
    options?: { body?: Json; headers?: Record<string, string> },
  ): Promise<Answer>;
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
}

const V1 = { "a2a-version": "1.0" };

/** Starts one; without `agent: false` it has the agent of bridge_agent.ts. */
export async function startTestBridge(
  options: {
    home?: string;
    flags?: Readonly<Record<string, string>>;
    agent?: boolean;
    env?: Record<string, string>;
  } = {},
): Promise<TestBridge> {
  const { flags, home, agent = true, env } = options;
  await using stack = new AsyncDisposableStack();
  const node = stack.use(
    await startTestDaemon({
      ...(home !== undefined && { home }),
      ...(env !== undefined && { env }),
      flags: { "bridge-listen": "127.0.0.1:0", "bridge-webhook-allow": "127.0.0.1", ...flags },
    }),
  );
  if (agent) stack.use(await startBridgeAgent(node.home));
  const url = node.daemon.bridgeUrl ?? "";
  const rpcAt: TestBridge["rpcAt"] = (path, method, params) => rpcTo(url + path, { method, params }, V1);
  const owned = stack.move();
  return {
    url,
    node,
    rpcAt,
    rpc: (method, params, headers = V1) => rpcTo(url, { method, params }, headers),
    rest: (method, path, { body, headers = V1 } = {}) =>
      ask(url + path, {
        method,
        headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
        ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      }),
    get: (path, headers = {}) => ask(url + path, { headers }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function rpcTo(url: string, request: Json, headers: Record<string, string>): Promise<Answer> {
  return ask(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, ...request }),
  });
}

/** Fetches and reads the body. */
export async function ask(url: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(url, init);
  const text = await response.text();
  let json: Json;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined; // events, or nothing
  }
  return { status: response.status, headers: response.headers, text, json };
}

/** Parameters that send a text in A2A 1.0. */
export function message(text: string, more?: Json, configuration?: Json): Json {
  return {
    message: { role: "ROLE_USER", messageId: crypto.randomUUID(), parts: [{ text }], ...more },
    ...(configuration !== undefined && { configuration }),
  };
}

/** The events of an answer of Server-Sent Events. */
export function eventsOf({ text }: Pick<Answer, "text">): { id: string | undefined; data: Json }[] {
  return text.split("\n\n").flatMap((block) => {
    const lines = block.split("\n");
    const data = lines.find((line) => line.startsWith("data: "))?.slice(6);
    const id = lines.find((line) => line.startsWith("id: "))?.slice(4);
    return data === undefined ? [] : [{ id, data: JSON.parse(data) }];
  });
}
