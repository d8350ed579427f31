import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
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
