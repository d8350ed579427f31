import assert from "node:assert/strict";
import { openTestHost } from "../p2p/test_host.ts";
import { startTestRelay } from "../support/test_relay.ts";

Deno.test("a relay is reached by peers that speak WebTransport or WebRTC-direct alone, and joins them", async () => {
  await using relay = await startTestRelay({
    flags: {
      "listen": "/ip4/127.0.0.1/udp/0/quic-v1/noise",
      "enable-webtransport": "true",
      "enable-webrtc-direct": "true",
    },
  });
  const addresses = relay.relay.addresses();
  const addressOf = (transport: string) => addresses.find((address) => address.includes(transport)) ?? "";
  const host = (options: { bootstrapPeers?: string[] } = {}) =>
    openTestHost({ listen: [], webTransport: true, webRtcDirect: true, ...options });
  await using b = await host({ bootstrapPeers: [addressOf("webrtc-direct")] });
  await b.until(() => b.lines.some((line) => line.includes("Reachable through a relay")));
  assert.ok(b.host.peers().some(({ transport }) => transport === "webrtc-direct"));
  await using a = await host();
  const peer = await a.host.connect(b.peerId, [`${addressOf("webtransport")}/p2p-circuit/p2p/${b.peerId}`]);
  assert.deepEqual([peer.relayed, peer.transport], [true, "webtransport"]);
  const frame = new Uint8Array(100_000).map((_, i) => i % 251);
  await a.host.sendA2aFrame(b.peerId, frame);
  await b.until(() => b.frames.length === 1);
  assert.deepEqual(b.frames[0]?.frame, frame);
});

Deno.test("a relay neither listens nor announces for others unless it is asked to", async () => {
  await using relay = await startTestRelay({ flags: { "listen": "/ip4/127.0.0.1/udp/0/quic-v1/noise" } });
  assert.ok(relay.relay.addresses().every((address) => address.includes("/quic-v1/noise/")));
  const listen = "/ip4/127.0.0.1/udp/0/webrtc-direct";
  await assert.rejects(
    startTestRelay({ flags: { listen } }),
    /WebRTC-direct is off; set enable_webrtc_direct/,
  );
});
