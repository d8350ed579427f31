import assert from "node:assert/strict";
import { startTestRelay } from "./test_relay.ts";
import { openTestHost, randomSeed } from "./test_host.ts";

// The relay of libp2p leaves timers of its reservations behind.
const relayLeaks = { sanitizeOps: false, sanitizeResources: false };

Deno.test({
  name: "a host is reached through its relay by its peer id alone, and frames pass both ways",
  ...relayLeaks,
  async fn() {
    await using relay = await startTestRelay();
    await using a = await openTestHost({ bootstrapPeers: [relay.address], listen: [] });
    await using b = await openTestHost({ bootstrapPeers: [relay.address], listen: [] });
    await b.until(() => b.lines.some((line) => line.includes("Reachable through a relay")));
    assert.deepEqual(b.host.relays().map(({ relayId, state }) => [relayId, state.kind]), [
      [relay.peerId, "reserved"],
    ]);
    assert.ok(
      b.host.addresses().includes(`${relay.address}/p2p-circuit/p2p/${b.peerId}`),
      b.host.addresses().join(),
    );
    await a.until(() => a.connected.length === 1);
    const peer = await a.host.connect(b.peerId, []);
    assert.equal(peer.relayed, true);
    assert.equal(peer.relayId, relay.peerId);
    await a.host.sendA2aFrame(b.peerId, new Uint8Array([1]));
    await b.until(() => b.frames.length === 1);
    await b.host.sendA2aFrame(a.peerId, new Uint8Array([2]));
    await a.until(() => a.frames.length === 1);
    assert.equal(b.frames[0]?.peerId, a.peerId);
  },
});

Deno.test({
  name: "a host has its place again after its relay came back",
  ...relayLeaks,
  async fn() {
    const seed = randomSeed();
    const first = await startTestRelay({ seed });
    await using b = await openTestHost({ bootstrapPeers: [first.address], listen: [] });
    const reservedTimes = () => b.lines.filter((line) => line.includes("Reachable through a relay")).length;
    await b.until(() => reservedTimes() === 1);
    await first[Symbol.asyncDispose]();
    await b.until(() => b.lines.some((line) => line.includes("Lost a relay")));
    assert.deepEqual(b.host.addresses(), []);
    await using relay = await startTestRelay({ seed, port: first.port });
    await b.until(() => reservedTimes() === 2);
    assert.deepEqual(relay.reserved(), [b.peerId]);
  },
});

Deno.test({
  name: "relays() says why a relay gives no place",
  ...relayLeaks,
  async fn() {
    await using relay = await startTestRelay({ maxReservations: 0 });
    await using b = await openTestHost({ bootstrapPeers: [relay.address], listen: [] });
    await b.until(() => b.lines.some((line) => line.includes("gives this node no place")));
    const [status] = b.host.relays();
    assert.equal(status?.state.kind, "refused");
    assert.match(JSON.stringify(status?.state), /no free place/);
  },
});
