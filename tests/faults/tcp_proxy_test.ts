import assert from "node:assert/strict";
import { untilHolds } from "../support/patience.ts";
import { startTcpProxy } from "../support/tcp_proxy.ts";

/** A server that sends back what it gets. */
function startEcho(): { port: number } & AsyncDisposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving: Promise<void>[] = [];
  const serve = async (conn: Deno.TcpConn) => {
    try {
      await conn.readable.pipeTo(conn.writable);
    } catch {
      // The proxy has cut the connection.
    }
  };
  const accepting = (async () => {
    for await (const conn of listener) serving.push(serve(conn));
  })();
  return {
    port: listener.addr.port,
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      await Promise.all(serving);
    },
  };
}

const bytes = (text: string) => new TextEncoder().encode(text);

/** Reads until `length` bytes are there or the connection ends. */
async function readText(conn: Deno.TcpConn, length: number): Promise<string> {
  const buffer = new Uint8Array(length);
  let held = 0;
  while (held < length) {
    const count = await conn.read(buffer.subarray(held)).catch(() => null);
    if (count === null) break;
    held += count;
  }
  return new TextDecoder().decode(buffer.subarray(0, held));
}

const dial = (port: number) => Deno.connect({ hostname: "127.0.0.1", port });

Deno.test("startTcpProxy() forwards and counts both directions", async () => {
  await using echo = startEcho();
  await using proxy = startTcpProxy({ targetPort: echo.port });
  using conn = await dial(proxy.port);
  await conn.write(bytes("hello"));
  assert.equal(await readText(conn, 5), "hello");
  const { accepted, bytesIn, bytesOut } = proxy.counts;
  assert.deepEqual({ accepted, bytesIn, bytesOut }, { accepted: 1, bytesIn: 5, bytesOut: 5 });
  assert.equal(proxy.upstreamPorts.size, 1);
});

Deno.test("startTcpProxy() closes connections and takes no more when it is cut", async () => {
  await using echo = startEcho();
  await using proxy = startTcpProxy({ targetPort: echo.port });
  using conn = await dial(proxy.port);
  await conn.write(bytes("a"));
  await readText(conn, 1);
  proxy.setMode({ kind: "cut" });
  assert.equal(await readText(conn, 1), "");
  using refused = await dial(proxy.port);
  assert.equal(await readText(refused, 1), "");
  assert.equal(proxy.counts.cut, 2);
  proxy.setMode({ kind: "pass" });
  using again = await dial(proxy.port);
  await again.write(bytes("b"));
  assert.equal(await readText(again, 1), "b");
});

Deno.test("startTcpProxy() holds bytes back while it stalls", async () => {
  await using echo = startEcho();
  await using proxy = startTcpProxy({ targetPort: echo.port });
  using conn = await dial(proxy.port);
  proxy.setMode({ kind: "stall" });
  await conn.write(bytes("later"));
  const answer = readText(conn, 5);
  assert.equal(proxy.counts.bytesIn, 0);
  proxy.setMode({ kind: "pass" });
  assert.equal(await answer, "later");
});

Deno.test("startTcpProxy() never brings a half-open connection back, and serves new ones", async () => {
  await using echo = startEcho();
  await using proxy = startTcpProxy({ targetPort: echo.port });
  using dead = await dial(proxy.port);
  await dead.write(bytes("a"));
  await readText(dead, 1);
  proxy.setMode({ kind: "half_open" });
  await dead.write(bytes("lost"));
  using other = await dial(proxy.port);
  await other.write(bytes("x"));
  await untilHolds(() => proxy.counts.swallowed === 5);
  proxy.setMode({ kind: "pass" });
  await dead.write(bytes("lost too"));
  using fresh = await dial(proxy.port);
  await fresh.write(bytes("new"));
  assert.equal(await readText(fresh, 3), "new");
  await untilHolds(() => proxy.counts.swallowed === 13);
  assert.equal(proxy.open, 3);
});

Deno.test("startTcpProxy() cuts a connection after the bytes it may pass", async () => {
  await using echo = startEcho();
  await using proxy = startTcpProxy({ targetPort: echo.port });
  proxy.setMode({ kind: "truncate", afterBytes: 3 });
  using conn = await dial(proxy.port);
  await conn.write(bytes("abcdef"));
  assert.equal(await readText(conn, 6), "");
  assert.equal(proxy.counts.bytesIn, 3);
  proxy.setMode({ kind: "pass" });
});

Deno.test("startTcpProxy() delivers delayed and throttled bytes whole and in order", async () => {
  await using echo = startEcho();
  await using proxy = startTcpProxy({ targetPort: echo.port });
  for (
    const mode of [{ kind: "delay", delayMs: 2, jitterMs: 3 }, {
      kind: "throttle",
      bytesPerSecond: 1e6,
    }] as const
  ) {
    proxy.setMode(mode);
    using conn = await dial(proxy.port);
    const text = Array.from({ length: 200 }, (_, i) => `${i},`).join("");
    for (const piece of text.match(/.{1,100}/g) ?? []) await conn.write(bytes(piece));
    assert.equal(await readText(conn, text.length), text);
  }
});
