import assert from "node:assert/strict";
import { CodedError, type ErrorCode } from "../../core/errors.ts";
import { createSafeFetch, type SafeFetchOptions } from "../../http/mod.ts";

const CERTIFICATE = Deno.readTextFileSync(new URL("../testdata/tls/agent_test.pem", import.meta.url));
const KEY = Deno.readTextFileSync(new URL("../testdata/tls/agent_test_key.pem", import.meta.url));

interface TestServer extends AsyncDisposable {
  readonly origin: string;
  readonly port: number;
}

function startServer(handler: Deno.ServeHandler, options: Record<string, unknown> = {}): TestServer {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {}, ...options }, handler);
  const { port } = server.addr as Deno.NetAddr;
  const scheme = "cert" in options ? "https" : "http";
  return { port, origin: `${scheme}://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => server.shutdown() };
}

/** One that may reach loopback and resolves `agent.test` to it. */
function localFetch(options: SafeFetchOptions = {}) {
  return createSafeFetch({
    allow: ["127.0.0.0/8", "::1"],
    resolve: () => Promise.resolve(["127.0.0.1"]),
    ...options,
  });
}

function codeIs(code: ErrorCode, text?: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof CodedError, String(error));
    assert.equal(error.code, code, error.message);
    if (text !== undefined) assert.match(error.message, text);
    return true;
  };
}

Deno.test("createSafeFetch() refuses every form of an address that is not public", async () => {
  using safeFetch = createSafeFetch({ resolve: () => Promise.reject(new Error("asked the resolver")) });
  const hosts = [
    "127.0.0.1",
    "127.1",
    "0x7f.0.0.1",
    "2130706433",
    "017700000001",
    "0.0.0.0",
    "10.0.0.1",
    "169.254.169.254",
    "100.100.100.200",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::10.0.0.1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "①②⑦.0.0.1",
  ];
  for (const host of hosts) {
    await assert.rejects(safeFetch(`http://${host}/`), codeIs("permission_denied", /not public/), host);
  }
});

Deno.test("createSafeFetch() refuses a name when any of its addresses is not public, without telling the address", async () => {
  using safeFetch = createSafeFetch({
    setting: "outbound.allow",
    resolve: () => Promise.resolve(["93.184.216.34", "10.11.12.13"]),
  });
  await assert.rejects(safeFetch("https://rebind.example/"), (error: CodedError) => {
    assert.equal(error.code, "permission_denied");
    assert.match(error.message, /private.*add https:\/\/rebind\.example to outbound.allow/);
    assert.doesNotMatch(error.message, /10\.11/);
    return true;
  });
});

Deno.test("createSafeFetch() connects to the address it checked, and asks the resolver once", async () => {
  let asked = 0;
  await using server = startServer((request) => new Response(request.headers.get("host")));
  using safeFetch = createSafeFetch({
    allow: [`http://agent.test:${server.port}`],
    resolve: () => Promise.resolve(++asked === 1 ? ["127.0.0.1"] : ["192.0.2.1"]),
  });
  const response = await safeFetch(`http://agent.test:${server.port}/`);
  assert.equal(await response.text(), `agent.test:${server.port}`);
  assert.equal(response.url, `http://agent.test:${server.port}/`);
  assert.equal(asked, 1);
});

Deno.test("createSafeFetch() allows by origin, host name, address and range, and nothing beside them", async () => {
  await using server = startServer(() => new Response("here"));
  const url = `http://agent.test:${server.port}/`;
  for (const entry of [`http://agent.test:${server.port}`, "agent.test", "127.0.0.1", "127.0.0.0/8"]) {
    using safeFetch = localFetch({ allow: [entry] });
    assert.equal(await (await safeFetch(url)).text(), "here", entry);
  }
  for (
    const entry of [`https://agent.test:${server.port}`, "http://agent.test", "test", "10.0.0.0/8", "::1"]
  ) {
    using safeFetch = localFetch({ allow: [entry] });
    await assert.rejects(safeFetch(url), codeIs("permission_denied"), entry);
  }
});

Deno.test("createSafeFetch() throws when an entry of the allow list cannot be read", () => {
  for (const entry of ["ftp://agent.test", "http://agent.test/path", "not a host", "", "10.0.0.0/99"]) {
    assert.throws(() => createSafeFetch({ allow: [entry] }), SyntaxError, entry);
  }
});

Deno.test("createSafeFetch() refuses URLs that are not http, not URLs or hold a password", async () => {
  using safeFetch = localFetch();
  for (
    const url of ["file:///etc/passwd", "gopher://127.0.0.1/", "data:,x", "nowhere", "http://u:p@127.0.0.1/"]
  ) {
    await assert.rejects(safeFetch(url), codeIs("invalid_argument"), url);
  }
});

Deno.test("createSafeFetch() refuses http: under httpsOnly except for origins that are allowed by name", async () => {
  await using server = startServer(() => new Response("here"));
  using strict = localFetch({ httpsOnly: true });
  await assert.rejects(strict(server.origin), codeIs("permission_denied", /only https:/));
  using allowed = localFetch({ httpsOnly: true, allow: [server.origin] });
  assert.equal(await (await allowed(server.origin)).text(), "here");
});

Deno.test("createSafeFetch() checks the target of a redirect like any other URL", async () => {
  let asked = 0;
  await using inner = startServer(() => {
    asked++;
    return new Response("secret");
  });
  await using server = startServer((request) =>
    Response.redirect(new URL(request.url).searchParams.get("to") ?? inner.origin)
  );
  using safeFetch = createSafeFetch({ allow: [server.origin] });
  for (const to of [inner.origin, "http://169.254.169.254/latest", "http://[::ffff:7f00:1]/"]) {
    await assert.rejects(
      safeFetch(`${server.origin}/?to=${encodeURIComponent(to)}`),
      codeIs("permission_denied"),
      to,
    );
  }
  await assert.rejects(safeFetch(`${server.origin}/?to=file:///etc/passwd`), codeIs("invalid_argument"));
  assert.equal(asked, 0);
});

Deno.test("createSafeFetch() follows a bounded number of redirects, or as many as the request says", async () => {
  await using server = startServer((request) => {
    const left = Number(new URL(request.url).pathname.slice(1));
    return left === 0
      ? new Response("end")
      : new Response(null, { status: 302, headers: { location: `/${left - 1}` } });
  });
  using safeFetch = localFetch();
  const response = await safeFetch(`${server.origin}/3`);
  assert.equal(await response.text(), "end");
  assert.equal(response.redirected, true);
  assert.equal(response.url, `${server.origin}/0`);
  await assert.rejects(safeFetch(`${server.origin}/4`), codeIs("failed_precondition", /more than 3/));
  await assert.rejects(safeFetch(`${server.origin}/1`, { redirect: "error" }), codeIs("failed_precondition"));
  const manual = await safeFetch(`${server.origin}/1`, { redirect: "manual" });
  assert.equal(manual.status, 302);
  assert.equal(manual.headers.get("location"), "/0");
  await manual.body?.cancel();
});

Deno.test("createSafeFetch() gives no credentials to another origin, and its own to each", async () => {
  const seen: Record<string, Headers> = {};
  await using other = startServer((request) => {
    seen.other = request.headers;
    return new Response("end");
  });
  await using server = startServer((request) => {
    seen.first = request.headers;
    return new Response(null, { status: 307, headers: { location: other.origin } });
  });
  using safeFetch = localFetch({
    headersFor: (origin) => origin === other.origin ? { "x-own": "theirs" } : {},
  });
  const headers = {
    authorization: "Bearer secret",
    cookie: "a=b",
    "x-api-key": "secret",
    "content-type": "application/json",
    "a2a-version": "1.0",
  };
  await (await safeFetch(server.origin, { method: "POST", headers, body: "{}" })).text();
  assert.equal(seen.first?.get("authorization"), "Bearer secret");
  assert.equal(seen.first?.get("x-own"), null);
  for (const name of ["authorization", "cookie", "x-api-key"]) {
    assert.equal(seen.other?.get(name), null, name);
  }
  assert.equal(seen.other?.get("a2a-version"), "1.0");
  assert.equal(seen.other?.get("content-type"), "application/json");
  assert.equal(seen.other?.get("x-own"), "theirs");
});

Deno.test("createSafeFetch() keeps method and body over 307 and turns POST into GET over 302 and 303", async () => {
  await using server = startServer(async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname !== "/end") {
      return new Response(null, { status: Number(pathname.slice(1)), headers: { location: "/end" } });
    }
    return new Response(`${request.method} ${await request.text()} ${request.headers.get("content-type")}`);
  });
  using safeFetch = localFetch();
  const init = { method: "POST", body: "hello", headers: { "content-type": "text/x" } };
  const over = async (status: number) => await (await safeFetch(`${server.origin}/${status}`, init)).text();
  assert.equal(await over(307), "POST hello text/x");
  assert.equal(await over(308), "POST hello text/x");
  assert.equal(await over(302), "GET  null");
  assert.equal(await over(303), "GET  null");
});

Deno.test("createSafeFetch() verifies the certificate for the name in the URL, over the pinned address", async () => {
  await using server = startServer((request) => new Response(request.url), { cert: CERTIFICATE, key: KEY });
  const origin = (host: string) => `https://${host}:${server.port}`;
  const tls = Object.fromEntries(
    ["agent.test", "other.test", "127.0.0.1"].map((host) => [origin(host), { ca: CERTIFICATE }]),
  );
  using safeFetch = localFetch({ tls });
  assert.equal(await (await safeFetch(`${origin("agent.test")}/a?b`)).text(), `${origin("agent.test")}/a?b`);
  assert.equal((await (await safeFetch(origin("127.0.0.1"))).text()).startsWith("https://127"), true);
  await assert.rejects(safeFetch(origin("other.test")), codeIs("unavailable", /other\.test/));
  using untrusting = localFetch();
  await assert.rejects(untrusting(origin("agent.test")), codeIs("unavailable", /certificate/));
});

Deno.test("createSafeFetch() does not follow a redirect from https: to http:", async () => {
  await using plain = startServer(() => new Response("end"));
  await using server = startServer(() => Response.redirect(plain.origin), { cert: CERTIFICATE, key: KEY });
  using safeFetch = localFetch({ tls: { [server.origin]: { ca: CERTIFICATE } } });
  await assert.rejects(safeFetch(server.origin), codeIs("failed_precondition", /https: to http:/));
});

Deno.test("createSafeFetch() uses no proxy of the environment", async () => {
  await using server = startServer(() => new Response("direct"));
  const names = ["HTTP_PROXY", "http_proxy", "ALL_PROXY"];
  for (const name of names) Deno.env.set(name, "http://127.0.0.1:1");
  try {
    using safeFetch = localFetch();
    assert.equal(await (await safeFetch(server.origin)).text(), "direct");
  } finally {
    for (const name of names) Deno.env.delete(name);
  }
});

Deno.test("createSafeFetch() tries the next address when one does not take the connection", async () => {
  await using server = startServer(() => new Response("second"));
  using safeFetch = localFetch({ resolve: () => Promise.resolve(["::1", "127.0.0.1"]) });
  assert.equal(await (await safeFetch(`http://agent.test:${server.port}`)).text(), "second");
  using nowhere = localFetch({ resolve: () => Promise.resolve(["127.0.0.2", "::1"]) });
  await assert.rejects(nowhere(`http://agent.test:${server.port}`), (error: CodedError) => {
    codeIs("unavailable", /cannot be reached/)(error);
    return error.details.sent === "no";
  });
});

Deno.test("createSafeFetch() fails with unavailable when the name does not resolve", async () => {
  using failing = createSafeFetch({ resolve: () => Promise.reject(new Error("ENOTFOUND")) });
  await assert.rejects(
    failing("https://agent.example/"),
    codeIs("unavailable", /agent\.example does not resolve/),
  );
  using empty = createSafeFetch({ resolve: () => Promise.resolve([]) });
  await assert.rejects(empty("https://agent.example/"), codeIs("unavailable", /no address/));
});

Deno.test("createSafeFetch() resolves names as the system does when no resolver is given", async () => {
  await using server = startServer(() => new Response("here"));
  using safeFetch = createSafeFetch({ allow: ["127.0.0.1", "::1"] });
  assert.equal(await (await safeFetch(`http://localhost:${server.port}`)).text(), "here");
  using strict = createSafeFetch();
  await assert.rejects(strict(`http://localhost:${server.port}`), codeIs("permission_denied", /loopback/));
});

Deno.test("createSafeFetch() keeps a connection for the next request", async () => {
  const ports = new Set<number>();
  await using server = startServer((_, info) => {
    ports.add((info.remoteAddr as Deno.NetAddr).port);
    return new Response("x");
  });
  using safeFetch = localFetch();
  for (let i = 0; i < 5; i++) await (await safeFetch(server.origin)).text();
  assert.equal(ports.size, 1);
});
