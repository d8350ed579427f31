import assert from "node:assert/strict";
import { CodedError } from "../../../core/errors.ts";
import { silentLogger } from "../../../core/log.ts";
import { CallerTokens, createMcpEndpoint, type McpEndpointOptions } from "../../../mcp/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { createFixtureService } from "../conformance/fixture_service.ts";

const TOKEN = "t".repeat(32);

function openEndpoint(options: McpEndpointOptions = {}, clock = new FakeClock()) {
  return createMcpEndpoint({ service: createFixtureService(), logger: silentLogger, clock }, options);
}

/** A request with a JSON-RPC body, as a client on this machine makes it. */
function post(body: unknown, headers: Record<string, string> = {}): Request {
  return new Request("http://127.0.0.1:3000/mcp", {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: {
      "host": "127.0.0.1:3000",
      "content-type": "application/json",
      "accept": "application/json, text/event-stream",
      ...headers,
    },
  });
}

const INITIALIZE = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "test", version: "1" },
  },
};
const PING = { jsonrpc: "2.0", id: 2, method: "ping" };

type Endpoint = ReturnType<typeof openEndpoint>;

/** Opens a session; answers its id. */
async function openSession({ fetch }: Endpoint, headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(post(INITIALIZE, headers));
  await response.text();
  assert.equal(response.status, 200);
  return response.headers.get("mcp-session-id") ?? "";
}

async function ping(
  { fetch }: Endpoint,
  session: string,
  headers: Record<string, string> = {},
): Promise<number> {
  const response = await fetch(post(PING, { "mcp-session-id": session, ...headers }));
  await response.text();
  return response.status;
}

async function statusOf(response: Response | Promise<Response>): Promise<number> {
  const { status, body } = await response;
  await body?.cancel();
  return status;
}

Deno.test("createMcpEndpoint() refuses foreign host names and web pages", async () => {
  await using endpoint = openEndpoint({
    allowedHosts: ["node.example.com"],
    allowedOrigins: ["app.example.com"],
  });
  const status = (headers: Record<string, string>) => statusOf(endpoint.fetch(post(INITIALIZE, headers)));
  assert.equal(await status({ host: "evil.example.com" }), 403);
  assert.equal(await status({ origin: "https://evil.example.com" }), 403);
  assert.equal(await status({ origin: "null" }), 403);
  assert.equal(await status({ host: "node.example.com" }), 200);
  assert.equal(await status({ origin: "https://app.example.com" }), 200);
  assert.equal(await status({ origin: "http://localhost:5173" }), 200);
});

Deno.test("createMcpEndpoint() answers preflights of allowed pages only", async () => {
  await using endpoint = openEndpoint();
  const preflight = (origin: string) =>
    endpoint.fetch(
      new Request("http://127.0.0.1/mcp", {
        method: "OPTIONS",
        headers: { host: "127.0.0.1", origin, "access-control-request-method": "POST" },
      }),
    );
  const allowed = await preflight("http://localhost:6274");
  assert.equal(allowed.headers.get("access-control-allow-origin"), "http://localhost:6274");
  assert.equal(
    (await preflight("https://evil.example.com")).headers.get("access-control-allow-origin"),
    null,
  );
});

Deno.test("createMcpEndpoint() wants a token it knows, and keeps sessions of callers apart", async () => {
  const tokens = CallerTokens.parse([`alice:${TOKEN}`, `bob:${"b".repeat(32)}`]);
  await using endpoint = openEndpoint({ tokens });
  const as = (token: string) => ({ authorization: `Bearer ${token}` });
  const anonymous = await endpoint.fetch(post(INITIALIZE));
  assert.equal(anonymous.status, 401);
  assert.match(anonymous.headers.get("www-authenticate") ?? "", /^Bearer/);
  assert.equal(await statusOf(endpoint.fetch(post(INITIALIZE, as(`${TOKEN}x`)))), 401);
  const session = await openSession(endpoint, as(TOKEN));
  assert.equal(await ping(endpoint, session, as(TOKEN)), 200);
  assert.equal(await ping(endpoint, session, as("b".repeat(32))), 404);
});

Deno.test("createMcpEndpoint() ends sessions that are idle, and the longest idle one for a new one", async () => {
  const clock = new FakeClock();
  await using endpoint = openEndpoint({ maxSessions: 2, idleMs: 60_000 }, clock);
  const first = await openSession(endpoint);
  clock.advance(1_000);
  const second = await openSession(endpoint);
  clock.advance(1_000);
  assert.equal(await ping(endpoint, first), 200);
  const third = await openSession(endpoint);
  assert.deepEqual(
    [await ping(endpoint, first), await ping(endpoint, second), await ping(endpoint, third)],
    [200, 404, 200],
  );
  clock.advance(60_000);
  assert.deepEqual([await ping(endpoint, first), await ping(endpoint, third)], [404, 404]);
});

Deno.test("createMcpEndpoint() refuses a session while all are in use", async () => {
  await using endpoint = openEndpoint({ maxSessions: 1 });
  const session = await openSession(endpoint);
  const stream = await endpoint.fetch(
    new Request("http://127.0.0.1/mcp", {
      headers: { host: "127.0.0.1", accept: "text/event-stream", "mcp-session-id": session },
    }),
  );
  assert.equal(stream.status, 200);
  const refused = await endpoint.fetch(post(INITIALIZE));
  assert.equal(refused.status, 503);
  assert.ok(refused.headers.get("retry-after"));
  await stream.body?.cancel();
  await openSession(endpoint);
});

Deno.test("createMcpEndpoint() refuses what is no message, too large, elsewhere or without a session", async () => {
  await using endpoint = openEndpoint({ maxBodyBytes: 1_000 });
  assert.equal(await statusOf(endpoint.fetch(post("no json"))), 400);
  assert.equal(await statusOf(endpoint.fetch(post("x".repeat(1_001)))), 413);
  assert.equal(await statusOf(endpoint.fetch(post(INITIALIZE, { "content-type": "text/plain" }))), 415);
  assert.equal(await statusOf(endpoint.fetch(post(PING))), 400);
  assert.equal(await statusOf(endpoint.fetch(post(PING, { "mcp-session-id": "unknown" }))), 404);
  const elsewhere = new Request("http://127.0.0.1/other", { headers: { host: "127.0.0.1" } });
  assert.equal(await statusOf(endpoint.fetch(elsewhere)), 404);
});

Deno.test("createMcpEndpoint() refuses requests beyond its bound", async () => {
  await using endpoint = openEndpoint({ maxRequests: 1 });
  const session = await openSession(endpoint);
  const stream = await endpoint.fetch(
    new Request("http://127.0.0.1/mcp", {
      headers: { host: "127.0.0.1", accept: "text/event-stream", "mcp-session-id": session },
    }),
  );
  assert.equal(await ping(endpoint, session), 503);
  await stream.body?.cancel();
  assert.equal(await ping(endpoint, session), 200);
});

Deno.test("CallerTokens.parse() says what is wrong with a token, and never the token", () => {
  const secret = "s".repeat(20);
  for (
    const items of [[secret], [`a b:${secret}`], ["a:short-secret"], [`local:${secret}`], [
      `a:${secret}`,
      `a:${secret}`,
    ]]
  ) {
    assert.throws(() => CallerTokens.parse(items), (error) => {
      assert.ok(error instanceof CodedError && error.code === "invalid_argument");
      assert.doesNotMatch(error.message, /ssss|short-secret/);
      return true;
    });
  }
});
