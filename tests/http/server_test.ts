import assert from "node:assert/strict";
import { silentLogger } from "../../core/log.ts";
import { startHttpServer } from "../../http/mod.ts";
import { parseHostPort } from "../../http/host_port.ts";

Deno.test("startHttpServer() answers on a free port and hides what a handler throws", async () => {
  await using server = await startHttpServer({
    fetch: (request) => {
      if (new URL(request.url).pathname === "/bad") throw new Error("secret detail");
      return new Response("hello");
    },
    logger: silentLogger,
  }, { listen: "127.0.0.1:0" });
  assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/);
  assert.equal(await (await fetch(server.url)).text(), "hello");
  const bad = await fetch(`${server.url}/bad`);
  assert.equal(bad.status, 500);
  assert.doesNotMatch(await bad.text(), /secret/);
});

Deno.test("startHttpServer() says so when the address is taken", async () => {
  const deps = { fetch: () => new Response(), logger: silentLogger };
  await using first = await startHttpServer(deps, { listen: "127.0.0.1:0" });
  await assert.rejects(
    startHttpServer(deps, { listen: `127.0.0.1:${first.port}` }),
    (error: { code?: string }) => error.code === "unavailable",
  );
});

Deno.test("startHttpServer() cuts requests that outlive the grace when it is disposed", async () => {
  const started = Promise.withResolvers<void>();
  const server = await startHttpServer({
    fetch: () => {
      started.resolve();
      const body = new ReadableStream({ start: (stream) => stream.enqueue(new Uint8Array(1)) });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    },
    logger: silentLogger,
  }, { listen: "127.0.0.1:0", graceMs: 50 });
  const response = await fetch(server.url);
  await started.promise;
  await server[Symbol.asyncDispose]();
  await assert.rejects(response.arrayBuffer());
});

Deno.test("parseHostPort() reads loopback, names and IPv6, and refuses the rest", () => {
  assert.deepEqual(parseHostPort(":8080"), { hostname: "127.0.0.1", port: 8080 });
  assert.deepEqual(parseHostPort("[::1]:0"), { hostname: "::1", port: 0 });
  assert.deepEqual(parseHostPort("localhost:1"), { hostname: "localhost", port: 1 });
  for (const bad of ["8080", "::1:80", "a:b", "a:70000", "", "http://a:1"]) {
    assert.throws(() => parseHostPort(bad), /host:port/);
  }
});
