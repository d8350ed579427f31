import assert from "node:assert/strict";
import type { Buffer } from "node:buffer";
import { connect, createServer, type Socket } from "node:net";
import { parseProxy } from "../../p2p/proxy.ts";
import { openTestHost } from "./test_host.ts";

interface TestProxy extends AsyncDisposable {
  readonly port: number;
  readonly asked: string[];
}

/** A proxy of a few lines; `serve` reads what is asked and answers where to connect. */
async function startProxy(
  serve: (socket: Socket, read: () => Promise<Buffer>) => Promise<{ port: number } | undefined>,
): Promise<TestProxy> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    const read = () => new Promise<Buffer>((resolve) => socket.once("data", resolve));
    serve(socket, async () => {
      const bytes = await read();
      asked.push(bytes.toString("latin1"));
      return bytes;
    }).then((target) => {
      if (target === undefined) return void socket.end();
      const far = connect(target.port, "127.0.0.1");
      sockets.add(far);
      far.on("error", () => far.destroy());
      socket.pipe(far);
      far.pipe(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as { port: number }).port,
    asked,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

const startHttpProxy = () =>
  startProxy(async (socket, read) => {
    const [, port, login] = /^CONNECT 127\.0\.0\.1:(\d+) HTTP\/1\.1\r\n[^]*?(?:Basic (\S+))?\r\n\r\n$/
      .exec((await read()).toString()) ?? [];
    if (login !== btoa("user:secret")) {
      socket.write("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
      return undefined;
    }
    socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
    return { port: Number(port) };
  });

const startSocksProxy = () =>
  startProxy(async (socket, read) => {
    await read();
    socket.write(Uint8Array.of(5, 0));
    const request = await read();
    socket.write(Uint8Array.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0));
    return { port: request.readUInt16BE(request.length - 2) };
  });

Deno.test("parseProxy() reads what a proxy is, and throws at anything else", () => {
  assert.deepEqual(parseProxy("socks5://proxy.example"), {
    ...{ kind: "socks5", tls: false, host: "proxy.example", port: 1080, user: "", password: "" },
  });
  const { user, password, port, tls } = parseProxy("https://us%40er:p%3Aw@[::1]");
  assert.deepEqual([user, password, port, tls], ["us@er", "p:w", 443, true]);
  for (const bad of ["ftp://x", "proxy:8080", "", "http://"]) {
    assert.throws(() => parseProxy(bad), /the proxy/);
  }
});

Deno.test("peers are dialed through an HTTP proxy, frames pass, and nothing goes beside it", async () => {
  await using proxy = await startHttpProxy();
  await using b = await openTestHost({
    listen: ["/ip4/127.0.0.1/udp/0/quic-v1/noise", "/ip4/127.0.0.1/tcp/0"],
  });
  const url = `http://user:secret@127.0.0.1:${proxy.port}`;
  await using a = await openTestHost({ listen: [], proxy: url });
  const peer = await a.host.connect(b.peerId, b.host.addresses().filter((one) => one.includes("/tcp/")));
  assert.equal(peer.transport, "tcp");
  await a.host.sendA2aFrame(b.peerId, Uint8Array.of(1));
  await b.until(() => b.frames.length === 1);
  assert.match(proxy.asked[0] ?? "", /^CONNECT 127\.0\.0\.1:/);
});

Deno.test("peers are dialed through a SOCKS5 proxy", async () => {
  await using proxy = await startSocksProxy();
  await using b = await openTestHost();
  await using a = await openTestHost({ listen: [], proxy: `socks5://127.0.0.1:${proxy.port}` });
  await a.host.connect(b.peerId, [b.address]);
  assert.ok(await a.host.ping(b.peerId) > 0);
});

Deno.test("WebSockets are dialed through a proxy", async () => {
  await using proxy = await startSocksProxy();
  await using b = await openTestHost({ listen: ["/ip4/127.0.0.1/tcp/0/ws"] });
  await using a = await openTestHost({ listen: [], proxy: `socks5://127.0.0.1:${proxy.port}` });
  const peer = await a.host.connect(b.peerId, [b.address]);
  assert.equal(peer.transport, "ws");
  await a.host.sendA2aFrame(b.peerId, new Uint8Array(100_000).fill(7));
  await b.until(() => b.frames.length === 1);
  assert.equal(b.frames[0]?.frame.length, 100_000);
  assert.equal(proxy.asked.length, 2);
});

Deno.test("a proxy that refuses says so in the error", async () => {
  await using proxy = await startHttpProxy();
  await using b = await openTestHost();
  await using a = await openTestHost({ listen: [], proxy: `http://127.0.0.1:${proxy.port}` });
  await assert.rejects(a.host.connect(b.peerId, [b.address]), /407 Proxy Authentication Required/);
});
