import assert from "node:assert/strict";
import https from "node:https";
import { silentLogger } from "../../core/log.ts";
import { type HttpHandler, type HttpLimits, startHttpServer } from "../../http/mod.ts";
import { untilHolds } from "../support/patience.ts";
import { testCertificate } from "../support/test_certificate.ts";

const echo: HttpHandler = async (request) => new Response(await request.text());

function start(fetch: HttpHandler, limits: Partial<HttpLimits>) {
  return startHttpServer({ fetch, logger: silentLogger }, { listen: "127.0.0.1:0", limits });
}

/** What the server says until it closes the connection. */
async function exchange(port: number, text: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode(text));
  return await new Response(connection.readable, {}).text();
}

Deno.test("startHttpServer() closes connections that say nothing or end no request in time", async () => {
  await using server = await start(echo, { headersMs: 200, requestMs: 300 });
  const head = "POST / HTTP/1.1\r\nhost: a\r\n";
  const said = await Promise.all([
    exchange(server.port, ""),
    exchange(server.port, `${head}x-slow: `),
    exchange(server.port, `${head}content-length: 100\r\n\r\nabc`),
  ]);
  for (const text of said) assert.match(text, /^HTTP\/1\.1 (408|500) /);
});

Deno.test("startHttpServer() refuses a body that is too long, whether it is announced or not", async () => {
  await using server = await start(echo, { maxBodyBytes: 1_000 });
  const fits = await fetch(server.url, { method: "POST", body: "x".repeat(1_000) });
  assert.equal((await fits.text()).length, 1_000);
  const announced = await fetch(server.url, { method: "POST", body: "x".repeat(1_001) });
  assert.equal(announced.status, 413);
  await announced.body?.cancel();
  const chunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
  const chunk = `3e9\r\n${"x".repeat(1_001)}\r\n0\r\n\r\n`;
  assert.match(await exchange(server.port, chunked + chunk), /^HTTP\/1\.1 413 /);
});

Deno.test("startHttpServer() refuses a body for which there is no room beside those of other requests", async () => {
  const taken = Promise.withResolvers<void>();
  const handle: HttpHandler = async (request) => {
    const reader = request.body?.getReader();
    if (new URL(request.url).pathname === "/slow") {
      await reader?.read();
      taken.resolve();
      await reader?.read();
    }
    let bytes = 0;
    for (let read = await reader?.read(); read?.done === false; read = await reader?.read()) {
      bytes += read.value.byteLength;
    }
    return new Response(String(bytes));
  };
  await using server = await start(handle, { maxBodiesBytes: 1_000 });
  const post = async (bytes: number) => {
    const response = await fetch(server.url, { method: "POST", body: "x".repeat(bytes) });
    return [response.status, (await response.text()).trim()];
  };
  {
    using slow = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    const head = "POST /slow HTTP/1.1\r\nhost: a\r\ncontent-length: 900\r\n\r\n";
    await slow.write(new TextEncoder().encode(head + "x".repeat(600)));
    await taken.promise;
    assert.deepEqual(await post(401), [503, "Service Unavailable"]);
    assert.deepEqual(await post(400), [200, "400"]);
  }
  // Once the one that has gone is noticed.
  await untilHolds(async () => String(await post(1_000)) === "200,1000");
});

Deno.test("startHttpServer() refuses headers that are too long", async () => {
  await using server = await start(echo, { maxHeaderBytes: 1_024 });
  const long = `GET / HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(2_000)}\r\n\r\n`;
  assert.match(await exchange(server.port, long), /^HTTP\/1\.1 431 /);
});

Deno.test("startHttpServer() answers others while connections beyond the bound are closed", async () => {
  await using server = await start(echo, { maxConnections: 3, headersMs: 60_000 });
  const open = [];
  for (let i = 0; i < 3; i++) open.push(await Deno.connect({ hostname: "127.0.0.1", port: server.port }));
  assert.equal(await exchange(server.port, ""), "");
  for (const connection of open) connection.close();
});

Deno.test("startHttpServer() gives up an answer that its reader does not take", async () => {
  const ended = Promise.withResolvers<unknown>();
  await using server = await start(() => {
    const body = new ReadableStream({
      pull: (stream) => stream.enqueue(new Uint8Array(1024 * 1024)),
      cancel: (reason) => ended.resolve(reason),
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }, { stallMs: 100 });
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await connection.write(new TextEncoder().encode("GET / HTTP/1.1\r\nhost: a\r\n\r\n"));
  await ended.promise;
});

Deno.test("startHttpServer() survives a stream of events that does not end well when its reader goes", async () => {
  const ended = Promise.withResolvers<void>();
  await using server = await start(() => {
    const body = new ReadableStream({
      start: (stream) => stream.enqueue(new TextEncoder().encode(": hello\n\n")),
      cancel() {
        ended.resolve();
        throw new Error("no end");
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }, {});
  {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await connection.write(new TextEncoder().encode("GET / HTTP/1.1\r\nhost: a\r\n\r\n"));
    await connection.read(new Uint8Array(1024));
  }
  await ended.promise;
});

Deno.test("startHttpServer() gives up a long answer of which nothing is read", async () => {
  const failed = Promise.withResolvers<string>();
  const logger = {
    ...silentLogger,
    error: (_: string, { error }: { error?: unknown } = {}) => failed.resolve(String(error)),
  };
  const fetch = () => new Response(new Uint8Array(64 * 1024 * 1024));
  await using server = await startHttpServer({ fetch, logger }, {
    listen: "127.0.0.1:0",
    limits: { stallMs: 100 },
  });
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await connection.write(new TextEncoder().encode("GET / HTTP/1.1\r\nhost: a\r\n\r\n"));
  assert.match(await failed.promise, /taken nothing/);
});

Deno.test("startHttpServer() answers a long body whole", async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(65_536));
  await using server = await start(() => new Response(new Blob(Array(20).fill(bytes))), {});
  const answer = new Uint8Array(await (await fetch(server.url)).arrayBuffer());
  assert.equal(answer.length, 20 * bytes.length);
  for (let i = 0; i < 20; i++) {
    assert.deepEqual(answer.slice(i * bytes.length, (i + 1) * bytes.length), bytes);
  }
});

Deno.test("startHttpServer() goes on after a handler has cancelled the body of a request", async () => {
  await using server = await start(async ({ body }) => {
    await body?.cancel();
    return new Response("not read");
  }, {});
  const head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
  const said = await exchange(server.port, `${head}content-length: 200000\r\n\r\n${"x".repeat(200_000)}`);
  assert.match(said, /not read$/);
  assert.equal(await (await fetch(server.url)).text(), "not read");
});

Deno.test("startHttpServer() refuses a host that is more than a name, URLs it cannot be asked for, and methods that are for proxies", async () => {
  await using server = await start(({ url }) => new Response(url), {});
  const refused = [
    "GET / HTTP/1.1\r\nhost: a/tasks?",
    "GET / HTTP/1.1\r\nhost: u:p@a",
    "GET http://u:p@a/ HTTP/1.1\r\nhost: a",
    "GET ftp://a/ HTTP/1.1\r\nhost: a",
    "TRACE / HTTP/1.1\r\nhost: a",
  ];
  for (const request of refused) {
    assert.match(await exchange(server.port, `${request}\r\n\r\n`), /^HTTP\/1\.1 400 /, request);
  }
});

Deno.test("startHttpServer() tells the handler when its caller has gone", async () => {
  const gone = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  await using server = await start(async (request) => {
    asked.resolve();
    request.signal.addEventListener("abort", () => gone.resolve());
    await gone.promise;
    return new Response();
  }, {});
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await connection.write(new TextEncoder().encode("GET / HTTP/1.1\r\nhost: a\r\n\r\n"));
  await asked.promise;
  connection.close();
  await gone.promise;
});

Deno.test("startHttpServer() knows callers by certificates that its authority has signed", async () => {
  const { cert, key, fingerprint } = testCertificate("alice");
  const stranger = testCertificate("mallory");
  await using server = await startHttpServer({
    fetch: (_request, { clientCertificate }) => Response.json(clientCertificate ?? null),
    logger: silentLogger,
  }, { listen: "127.0.0.1:0", tls: { cert, key, clientCa: cert } });
  const ask = (own: { cert?: string; key?: string }) =>
    new Promise<unknown>((resolve, reject) => {
      const request = https.get(
        { host: "127.0.0.1", port: server.port, ca: cert, agent: false, ...own },
        (answer) => {
          let text = "";
          answer.on("data", (chunk) => text += chunk).on("end", () => resolve(JSON.parse(text)));
        },
      );
      request.on("error", reject);
    });
  assert.deepEqual(await ask({ cert, key }), { fingerprint, commonName: "alice" });
  assert.equal(await ask({}), null);
  assert.equal(await ask(stranger), null);
});
