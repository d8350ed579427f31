import assert from "node:assert/strict";
import { CodedError, type ErrorCode } from "../../core/errors.ts";
import { createSafeFetch, type SafeFetchOptions } from "../../http/mod.ts";
import { startRawHttpServer } from "../support/raw_http.ts";

const encoder = new TextEncoder();

function localFetch(options: SafeFetchOptions = {}) {
  return createSafeFetch({ allow: ["127.0.0.1"], ...options });
}

function codeIs(code: ErrorCode, text?: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof CodedError, String(error));
    assert.equal(error.code, code, error.message);
    if (text !== undefined) assert.match(error.message, text);
    return true;
  };
}

function serve(handler: Deno.ServeHandler) {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
  const origin = `http://127.0.0.1:${(server.addr as Deno.NetAddr).port}`;
  return { origin, [Symbol.asyncDispose]: () => server.shutdown() };
}

/** A body that goes on until its reader leaves; `left` then resolves. */
function endlessBody(chunk: Uint8Array<ArrayBuffer>) {
  const { promise: left, resolve } = Promise.withResolvers<void>();
  const body = () =>
    new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: (controller) => controller.enqueue(chunk),
      cancel: () => resolve(),
    });
  return { left, body };
}

async function compressed(bytes: Uint8Array<ArrayBuffer>, format: CompressionFormat) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

Deno.test("createSafeFetch() ends a body that is too large, and closes its connection", async () => {
  const endless = endlessBody(new Uint8Array(10_000));
  await using server = serve(() => new Response(endless.body()));
  using safeFetch = localFetch({ maxBytes: 100_000 });
  const response = await safeFetch(server.origin);
  await assert.rejects(response.arrayBuffer(), codeIs("resource_exhausted", /100000 bytes/));
  await endless.left;
});

Deno.test("createSafeFetch() takes the bounds of one request before its own", async () => {
  await using server = serve(() => new Response("x".repeat(1_000)));
  using safeFetch = localFetch({ maxBytes: 10 });
  await assert.rejects((await safeFetch(server.origin)).text(), codeIs("resource_exhausted"));
  assert.equal((await (await safeFetch(server.origin, { maxBytes: 1_000 })).text()).length, 1_000);
  assert.equal((await (await safeFetch(server.origin, { maxBytes: 0 })).text()).length, 1_000);
});

Deno.test("createSafeFetch() counts a compressed body as what it unpacks to", async () => {
  const bomb = await compressed(new Uint8Array(2_000_000), "gzip");
  const small = await compressed(encoder.encode("hello"), "deflate");
  await using server = serve((request) =>
    new URL(request.url).pathname === "/bomb"
      ? new Response(bomb, { headers: { "content-encoding": "gzip" } })
      : new Response(small, { headers: { "content-encoding": "deflate" } })
  );
  using safeFetch = localFetch({ maxBytes: 100_000 });
  await assert.rejects(
    (await safeFetch(`${server.origin}/bomb`)).arrayBuffer(),
    codeIs("resource_exhausted"),
  );
  const response = await safeFetch(server.origin);
  assert.equal(response.headers.get("content-encoding"), null);
  assert.equal(await response.text(), "hello");
});

Deno.test("createSafeFetch() fails when a compressed body is damaged or of an unknown encoding", async () => {
  await using server = serve((request) => {
    const encoding = new URL(request.url).pathname.slice(1);
    return new Response(encoder.encode("not compressed"), { headers: { "content-encoding": encoding } });
  });
  using safeFetch = localFetch();
  await assert.rejects((await safeFetch(`${server.origin}/gzip`)).text(), codeIs("unavailable", /broke/));
  await assert.rejects(safeFetch(`${server.origin}/br`), codeIs("unavailable", /encoding br/));
});

Deno.test("createSafeFetch() gives up a server that does not answer in time", async () => {
  await using server = startRawHttpServer(async (_, connection) => {
    await connection.read(new Uint8Array(1)); // Until the client hangs up.
  });
  for (const bound of [{ timeoutMs: 50 }, { timeoutMs: 0, idleMs: 50 }]) {
    using safeFetch = localFetch(bound);
    await assert.rejects(safeFetch(server.origin), codeIs("deadline_exceeded", /50 ms/));
  }
});

Deno.test("createSafeFetch() gives up a body that falls silent, and one that takes too long in all", async () => {
  const stall = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome";
  await using server = startRawHttpServer(async (_, connection) => {
    await connection.write(encoder.encode(stall));
    await connection.read(new Uint8Array(1));
  });
  /** What ends the body, under a bound in which the answer begins. */
  const endOf = async (bound: (ms: number) => SafeFetchOptions, ms = 50): Promise<unknown> => {
    using safeFetch = localFetch(bound(ms));
    const response = await safeFetch(server.origin).catch((error) =>
      assert.equal(error.code, "deadline_exceeded")
    );
    if (response === undefined) return await endOf(bound, 2 * ms);
    return await response.text().catch((error) => error);
  };
  const silent = await endOf((idleMs) => ({ idleMs }));
  assert.ok(codeIs("deadline_exceeded", /silent for \d+ ms/)(silent));
  const long = await endOf((timeoutMs) => ({ timeoutMs }));
  assert.ok(codeIs("deadline_exceeded", /within \d+ ms/)(long));
});

Deno.test("createSafeFetch() ends with the reason of the caller's signal, at any stage", async () => {
  const endless = endlessBody(new Uint8Array(10));
  await using server = serve(() => new Response(endless.body()));
  await using silent = startRawHttpServer(async (_, connection) => {
    await connection.read(new Uint8Array(1));
  });
  using safeFetch = localFetch();
  const reason = new Error("the user left");
  await assert.rejects(safeFetch(server.origin, { signal: AbortSignal.abort(reason) }), reason);
  const waiting = new AbortController();
  const asked = safeFetch(silent.origin, { signal: waiting.signal });
  waiting.abort(reason);
  await assert.rejects(asked, reason);
  const reading = new AbortController();
  const response = await safeFetch(server.origin, { signal: reading.signal });
  reading.abort(reason);
  await assert.rejects(response.arrayBuffer(), reason);
  await endless.left;
});

Deno.test("createSafeFetch() reads only as fast as its reader, and stops when the reader cancels", async () => {
  const endless = endlessBody(new Uint8Array(65_536));
  await using server = serve(() => new Response(endless.body()));
  using safeFetch = localFetch({ maxBytes: 0, timeoutMs: 0, idleMs: 0 });
  const reader = (await safeFetch(server.origin)).body?.getReader();
  assert.ok(((await reader?.read())?.value?.byteLength ?? 0) > 0);
  await reader?.cancel();
  await endless.left;
});

Deno.test("createSafeFetch() tells an answer that breaks off from one that ends", async () => {
  const answers: Record<string, string> = {
    "/length": "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
    "/chunked": "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    "/none": "",
    "/garbage": "I do not speak HTTP\r\n\r\n",
    "/status": "HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n",
  };
  await using server = startRawHttpServer(async (head, connection) => {
    await connection.write(encoder.encode(answers[head.split(" ")[1] ?? ""]));
  });
  using safeFetch = localFetch();
  for (const path of ["/length", "/chunked"]) {
    const response = await safeFetch(server.origin + path);
    await assert.rejects(response.text(), codeIs("unavailable", /broke its answer off/), path);
  }
  for (const path of ["/none", "/garbage"]) {
    await assert.rejects(safeFetch(server.origin + path), (error: CodedError) => {
      codeIs("unavailable")(error);
      return error.details.sent === "maybe";
    }, path);
  }
  await assert.rejects(safeFetch(`${server.origin}/status`), codeIs("unavailable", /status 999/));
});

Deno.test("createSafeFetch() does not read endless headers", async () => {
  await using server = startRawHttpServer(async (_, connection) => {
    await connection.write(encoder.encode("HTTP/1.1 200 OK\r\n"));
    const line = encoder.encode(`x-filler: ${"y".repeat(1_000)}\r\n`);
    while (true) await connection.write(line);
  });
  using safeFetch = localFetch();
  await assert.rejects(safeFetch(server.origin), codeIs("unavailable"));
});

Deno.test("createSafeFetch() answers HEAD and statuses without a body", async () => {
  await using server = serve((request) =>
    new Response(null, { status: request.method === "HEAD" ? 200 : 204 })
  );
  using safeFetch = localFetch();
  assert.equal((await safeFetch(server.origin, { method: "HEAD" })).status, 200);
  const response = await safeFetch(server.origin, { method: "DELETE" });
  assert.equal(response.status, 204);
  assert.equal(response.body, null);
});

Deno.test("createSafeFetch() never sends a request twice by itself, on a kept connection neither", async () => {
  const taken: string[] = [];
  await using server = startRawHttpServer(async (head, connection) => {
    taken.push(head.split(" ")[1] ?? "");
    await connection.write(encoder.encode("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    const count = await connection.read(new Uint8Array(1_000));
    if (count !== null) taken.push("next");
  });
  using safeFetch = localFetch();
  await (await safeFetch(`${server.origin}/first`)).text();
  await assert.rejects(
    safeFetch(`${server.origin}/second`, { method: "POST", body: "x" }),
    (error: CodedError) => {
      codeIs("unavailable", /broke the connection off/)(error);
      return error.details.sent === "maybe";
    },
  );
  assert.deepEqual(taken, ["/first", "next"]);
});
