import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import type { Socket } from "node:net";
import { boundWebSocketListener, type WebSocketListener } from "../../p2p/websocket_listener.ts";
import { openTestHost, type TestHost } from "./test_host.ts";

const WS = { listen: ["/ip4/127.0.0.1/tcp/0/ws"] };
const UPGRADE = [
  ...["GET / HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"],
  ...["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"],
  "\r\n",
].join("\r\n");

function connect({ address }: TestHost): Promise<Deno.TcpConn> {
  return Deno.connect({ hostname: "127.0.0.1", port: Number(/tcp\/(\d+)/.exec(address)?.[1]) });
}

/** All that comes until the end, as hex. */
async function readToEnd(conn: Deno.Conn): Promise<string> {
  let hex = "";
  for await (const chunk of conn.readable) hex += chunk.toHex();
  return hex;
}

async function openWebSocket(host: TestHost): Promise<Deno.TcpConn> {
  const conn = await connect(host);
  await conn.write(new TextEncoder().encode(UPGRADE));
  const answer = new Uint8Array(1024);
  const length = await conn.read(answer);
  assert.match(new TextDecoder().decode(answer.subarray(0, length ?? 0)), /^HTTP\/1\.1 101 /);
  return conn;
}

Deno.test("a frame that is none, or too long, ends its WebSocket and harms nothing else", async () => {
  await using host = await openTestHost(WS);
  // Bits that have no meaning; a length of 2 MiB, and of 2^62.
  for (
    const [frame, code] of [
      ["f28001020304", "03ea"],
      ["82ff0000000000200000" + "00000000", "03f1"],
      ["82ff4000000000000000" + "00000000", "03f1"],
    ] as const
  ) {
    const conn = await openWebSocket(host);
    await conn.write(Uint8Array.fromHex(frame));
    // The code of why it is closed (RFC 6455, 7.4.1); answered, so that it is closed at once.
    const answer = new Uint8Array(4);
    assert.equal(await conn.read(answer), 4);
    assert.equal(answer.toHex(), `8802${code}`);
    await conn.closeWrite();
    await readToEnd(conn);
  }
  await using peer = await openTestHost(WS);
  await peer.host.connect(host.peerId, [host.address]);
});

Deno.test("connections that say nothing are closed when they are too many, and with the listener", async () => {
  const host = await openTestHost(WS);
  await using peer = await openTestHost(WS);
  await peer.host.connect(host.peerId, [host.address]);
  const silent: Deno.Conn[] = [];
  for (let i = 0; i < 257; i++) silent.push(await connect(host));
  const [oldest, ...others] = silent;
  assert.equal(await readToEnd(oldest!), "");
  await peer.host.sendA2aFrame(host.peerId, Uint8Array.of(7));
  await host.until(() => host.frames.length === 1);
  const ended = others.map(readToEnd);
  await host[Symbol.asyncDispose]();
  await Promise.all(ended);
});

Deno.test("boundWebSocketListener() closes what has not become a WebSocket in time", async () => {
  const listener: WebSocketListener = {
    wsServer: { options: {} },
    onSocketConnection: () => Promise.resolve(),
    onUpgrade() {},
    onWsServerConnection() {},
    close: () => Promise.resolve(),
  };
  boundWebSocketListener(listener, { upgradeTimeoutMs: 1 });
  const connection = () => {
    const socket = new EventEmitter() as Socket;
    socket.destroy = () => {
      socket.emit("close");
      return socket;
    };
    return socket;
  };
  const [silent, upgraded] = [connection(), connection()];
  upgraded.on("close", () => assert.fail("it has become a WebSocket"));
  await listener.onSocketConnection(upgraded);
  listener.onUpgrade({} as never, upgraded, new Uint8Array());
  const closed = once(silent, "close");
  await listener.onSocketConnection(silent);
  await closed;
});
