import assert from "node:assert/strict";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import type { Stream } from "@libp2p/interface";
import { type ByteStream, byteStream, lpStream } from "@libp2p/utils";
import { concat } from "../../p2p/concat.ts";
import type { P2pHostOptions } from "../../p2p/mod.ts";
import {
  decodeHopAnswer,
  decodeHopRequest,
  EAGER_HOP_PROTOCOL,
  encodeHopConnect,
  encodeHopStatus,
  HOP_PROTOCOL,
  HOP_STATUS,
  nameOfStatus,
  STOP_PROTOCOL,
} from "../../p2p/relay_server/hop_messages.ts";
import { resolveRelayLimits } from "../../p2p/relay_server/relay_limits.ts";
import { Reservations } from "../../p2p/relay_server/reservations.ts";
import { untilHolds } from "../support/patience.ts";
import { startRawPeer } from "./raw_peer.ts";
import { openTestHost, type TestHost } from "./test_host.ts";

/** A relay of this program. */
function openRelay(relayServer: NonNullable<P2pHostOptions["relayServer"]> = {}): Promise<TestHost> {
  return openTestHost({ relayServer, relayClient: false });
}

/** A host that nobody can dial, with a place at `relay`. */
async function openHidden(relay: TestHost): Promise<TestHost> {
  const host = await openTestHost({ bootstrapPeers: [relay.address], listen: [] });
  await host.until(() => host.lines.some((line) => line.includes("Reachable through a relay")));
  return host;
}

const through = (relay: TestHost, peerId: string) => `${relay.address}/p2p-circuit/p2p/${peerId}`;

Deno.test("a relay carries frames of any size both ways, and counts them", async () => {
  await using relay = await openRelay();
  await using a = await openTestHost({ listen: [] });
  await using b = await openHidden(relay);
  const peer = await a.host.connect(b.peerId, [through(relay, b.peerId)]);
  assert.equal(peer.relayed, true);
  const large = crypto.getRandomValues(new Uint8Array(60_000));
  const frame = new Uint8Array(12 * 1024 * 1024);
  for (let at = 0; at < frame.length; at += large.length) frame.set(large.subarray(0, frame.length - at), at);
  await Promise.all([a.host.sendA2aFrame(b.peerId, frame), b.until(() => b.frames.length === 1)]);
  assert.deepEqual(b.frames[0]?.frame, frame);
  await b.host.sendA2aFrame(a.peerId, new Uint8Array([2]));
  await a.until(() => a.frames.length === 1);
  const stats = relay.host.relayServer?.stats;
  assert.equal(stats?.reservations, 1);
  assert.equal(stats?.circuits, 1);
  assert.ok((stats?.bytes ?? 0) > frame.length);
  assert.equal(relay.host.relayServer?.hasReservation(b.peerId), true);
});

Deno.test("a place is given up with the connection of its peer", async () => {
  await using relay = await openRelay();
  const b = await openHidden(relay);
  await b[Symbol.asyncDispose]();
  await relay.until(() => relay.disconnected.includes(b.peerId));
  assert.equal(relay.host.relayServer?.hasReservation(b.peerId), false);
  await using a = await openTestHost({ listen: [] });
  await assert.rejects(a.host.connect(b.peerId, [through(relay, b.peerId)]), { code: "unavailable" });
  assert.equal(relay.host.relayServer?.stats.refusals.noReservation, 1);
});

Deno.test("a relay refuses a place beyond its limit, and names the limit in its log", async () => {
  await using relay = await openRelay({ maxReservations: 1 });
  await using _first = await openHidden(relay);
  await using second = await openTestHost({ bootstrapPeers: [relay.address], listen: [] });
  await second.until(() => second.host.relays()[0]?.state.kind === "refused");
  assert.equal(relay.host.relayServer?.stats.refusals.maxReservations, 1);
  const line = relay.lines.find((line) => line.includes("The relay refused"));
  assert.match(line ?? "", /reason=maxReservations limit=1/);
});

Deno.test("a relay refuses circuits beyond its limits, of a peer and in all", async () => {
  for (
    const [limits, reason] of [[{ maxCircuitsPerPeer: 1 }, "maxCircuitsPerPeer"], [
      { maxCircuits: 1 },
      "maxCircuits",
    ]] as const
  ) {
    await using relay = await openRelay(limits);
    await using b = await openHidden(relay);
    await using a1 = await openTestHost({ listen: [] });
    await using a2 = await openTestHost({ listen: [] });
    await a1.host.connect(b.peerId, [through(relay, b.peerId)]);
    await assert.rejects(a2.host.connect(b.peerId, [through(relay, b.peerId)]), { code: "unavailable" });
    assert.deepEqual(relay.host.relayServer?.stats.refusals, { [reason]: 1 });
  }
});

Deno.test("a relay counts circuits that are being opened too", async () => {
  await using relay = await openRelay({ maxCircuits: 1 });
  await using b1 = await openHidden(relay);
  await using b2 = await openHidden(relay);
  await using a1 = await openTestHost({ listen: [], bootstrapPeers: [relay.address] });
  await using a2 = await openTestHost({ listen: [], bootstrapPeers: [relay.address] });
  await Promise.all([a1, a2].map(({ host }) => host.connect(relay.peerId, [relay.address])));
  const outcomes = await Promise.allSettled([
    a1.host.connect(b1.peerId, [through(relay, b1.peerId)]),
    a2.host.connect(b2.peerId, [through(relay, b2.peerId)]),
  ]);
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
});

Deno.test("a relay ends a circuit at its bytes in one direction, and at its time", async () => {
  for (
    const [limits, reason] of [[{ circuitBytes: 300_000 }, "circuitBytes"], [
      { circuitDurationMs: 1_000 },
      "circuitDurationMs",
    ]] as const
  ) {
    await using relay = await openRelay(limits);
    await using a = await openTestHost({ listen: [] });
    await using b = await openHidden(relay);
    const connected = await a.host.connect(b.peerId, [through(relay, b.peerId)]).then(() => true, () => {
      assert.equal(reason, "circuitDurationMs"); // on a slow machine its time may be over by now
      return false;
    });
    if (reason === "circuitBytes") {
      await a.host.sendA2aFrame(b.peerId, new Uint8Array(100_000));
      await b.until(() => b.frames.length === 1);
      // Whether the write or only the connection fails depends on who is faster.
      await a.host.sendA2aFrame(b.peerId, new Uint8Array(400_000)).catch(() => {});
    }
    if (connected) await a.until(() => a.disconnected.includes(b.peerId));
    await untilHolds(() => relay.host.relayServer?.stats.refusals[reason] === 1);
    assert.equal(relay.host.relayServer?.stats.circuits, 0);
  }
});

/** A message behind its length. */
const framed = (hex: string) => new BinaryWriter().bytes(Uint8Array.fromHex(hex)).finish();

Deno.test("a relay hands what comes behind a request for a circuit on with its offer", async () => {
  await using relay = await openRelay();
  await using a = await startRawPeer();
  await using b = await startRawPeer();
  await b.libp2p.unhandle(STOP_PROTOCOL);
  const offered = Promise.withResolvers<ByteStream<Stream>>();
  await b.libp2p.handle(STOP_PROTOCOL, (stream) => offered.resolve(byteStream(stream)));
  const place = lpStream(await b.open(relay, HOP_PROTOCOL));
  await place.write(Uint8Array.fromHex("0800"));
  await place.read();
  const asking = byteStream(await a.open(relay, EAGER_HOP_PROTOCOL));
  const request = encodeHopConnect(b.libp2p.peerId.toMultihash().bytes);
  await asking.write(concat([framed(request.toHex()), new TextEncoder().encode("begin")]));
  const theirs = await offered.promise;
  const signal = AbortSignal.timeout(20_000);
  let text = "";
  while (!text.endsWith("begin")) {
    text += new TextDecoder().decode((await theirs.read({ signal }))?.subarray());
  }
  await theirs.write(framed("08012064")); // only now it is taken
  assert.deepEqual(decodeHopAnswer((await lengthPrefixed(asking)).subarray()).status, HOP_STATUS.ok);
  await asking.write(Uint8Array.of(1, 2));
  assert.deepEqual([...(await theirs.read({ bytes: 2, signal })).subarray()], [1, 2]);
  await theirs.write(Uint8Array.of(3));
  assert.deepEqual([...(await asking.read({ bytes: 1, signal })).subarray()], [3]);
});

/** The next message, of less than 128 bytes. */
async function lengthPrefixed(stream: ByteStream<Stream>): Promise<Uint8Array> {
  const [length = 0] = (await stream.read({ bytes: 1 })).subarray();
  return (await stream.read({ bytes: length })).subarray();
}

Deno.test("decodeHopAnswer() reads the status and what a circuit is limited to; nameOfStatus() names it", () => {
  const limit = { durationSeconds: 60, dataBytes: 5_000_000_000 };
  assert.deepEqual(decodeHopAnswer(encodeHopStatus(HOP_STATUS.ok, { limit })), { status: 100, limit });
  assert.deepEqual(decodeHopAnswer(encodeHopStatus(HOP_STATUS.noReservation)), {
    status: 204,
    limit: undefined,
  });
  assert.equal(decodeHopAnswer(new Uint8Array()).status, 0);
  assert.deepEqual([nameOfStatus(204), nameOfStatus(7)], ["NO_RESERVATION", "7"]);
});

Deno.test("a relay gives no place over a circuit", async () => {
  await using outer = await openRelay();
  await using inner = await openTestHost({ bootstrapPeers: [outer.address], listen: [], relayServer: {} });
  await inner.until(() => inner.lines.some((line) => line.includes("Reachable through a relay")));
  await using b = await openTestHost({ listen: [] });
  await b.host.connect(inner.peerId, [`${outer.address}/p2p-circuit/p2p/${inner.peerId}`]);
  const asked = await b.host.openChannel(inner.peerId, HOP_PROTOCOL);
  await asked.send(new Uint8Array(8)); // begins with the length of an empty request
  await inner.until(() => inner.host.relayServer?.stats.refusals.relayed === 1);
});

Deno.test("decodeHopRequest() passes over what it does not know, and throws for what is no message", () => {
  assert.deepEqual(decodeHopRequest(Uint8Array.fromHex("0801" + "12040a020102" + "9a0601ff")), {
    type: "connect",
    peer: Uint8Array.of(1, 2),
  });
  assert.deepEqual(decodeHopRequest(new Uint8Array()), { type: undefined, peer: undefined });
  for (const hex of ["ff", "1204", "0a02010203ff", "12020aff"]) {
    assert.throws(() => decodeHopRequest(Uint8Array.fromHex(hex)), hex);
  }
});

Deno.test("Reservations count peers per address, loopback apart, and forget what has expired", () => {
  let nowMs = 1_000;
  const limits = resolveRelayLimits({ maxReservations: 4, maxReservationsPerIp: 1, reservationTtlMs: 5_000 });
  const places = new Reservations(limits, () => nowMs);
  assert.deepEqual(places.reserve("a", "192.0.2.1"), { expiresAtMs: 6_000 });
  assert.deepEqual(places.reserve("b", "192.0.2.1"), { limit: "maxReservationsPerIp" });
  assert.deepEqual(places.reserve("a", "192.0.2.1"), { expiresAtMs: 6_000 });
  for (const peer of ["c", "d", "e"]) assert.ok("expiresAtMs" in places.reserve(peer, "127.0.0.1"));
  assert.deepEqual(places.reserve("f", "192.0.2.3"), { limit: "maxReservations" });
  nowMs = 6_000;
  assert.deepEqual([places.has("a"), places.size], [false, 0]);
  assert.ok("expiresAtMs" in places.reserve("f", "192.0.2.3"));
  assert.ok("expiresAtMs" in places.reserve("g", "2001:db8::1"));
  assert.deepEqual(places.reserve("h", "2001:db8::2"), { limit: "maxReservationsPerIp" });
  assert.ok("expiresAtMs" in places.reserve("h", "2001:db8:0:1::2"));
});

Deno.test("resolveRelayLimits() refuses what is no limit", () => {
  assert.throws(() => resolveRelayLimits({ maxCircuits: 0 }), RangeError);
  assert.throws(() => resolveRelayLimits({ reservationTtlMs: 999 }), RangeError);
});

Deno.test("announce tells peers an address beside those that are listened on", async () => {
  const announce = ["/dns4/relay.example.com/tcp/4001"];
  await using relay = await openTestHost({ announce });
  assert.ok(
    relay.host.addresses().includes(`${announce[0]}/p2p/${relay.peerId}`),
    relay.host.addresses().join(),
  );
  await assert.rejects(openTestHost({ announce: ["relay.example.com:4001"] }), {
    code: "invalid_argument",
    message: /Could not announce/,
  });
});
