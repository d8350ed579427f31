import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { letReset } from "../../p2p/websocket_listener.ts";
import { within } from "../support/patience.ts";
import { openTestHost } from "./test_host.ts";

const WS = { listen: ["/ip4/127.0.0.1/tcp/0/ws"] };

Deno.test("frames pass over WebSocket both ways", async () => {
  await using a = await openTestHost(WS);
  await using b = await openTestHost(WS);
  assert.match(b.address, /^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/ws\/p2p\//);
  const native = globalThis.WebSocket;
  const peer = await a.host.connect(b.peerId, [b.address]);
  assert.equal(globalThis.WebSocket, native);
  assert.equal(peer.transport, "ws");
  const frame = crypto.getRandomValues(new Uint8Array(60_000));
  await a.host.sendA2aFrame(b.peerId, frame);
  await b.host.sendA2aFrame(a.peerId, Uint8Array.of(7));
  await Promise.all([a.until(() => a.frames.length === 1), b.until(() => b.frames.length === 1)]);
  assert.ok(Buffer.from(frame).equals(b.frames[0]!.frame));
});

Deno.test("letReset() ends a WebSocket that libp2p resets, and leaves other ends as they are", async () => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  server.on("connection", letReset);
  for (const code of [1006, 1000]) {
    const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const closed = once(socket, "close");
    const [[served]] = await within(
      "both ends",
      Promise.all([once(server, "connection"), once(socket, "open")]),
    );
    served.close(code);
    assert.equal((await within("the end", closed))[0], code);
  }
  await new Promise((resolve) => server.close(resolve));
});
