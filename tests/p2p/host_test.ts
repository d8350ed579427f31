import assert from "node:assert/strict";
import { multiaddr } from "@multiformats/multiaddr";
import type { CodedError, ErrorCode } from "../../core/errors.ts";
import { MAX_FRAME_BYTES } from "../../p2p/mod.ts";
import { untilHolds } from "../support/patience.ts";
import { startRawPeer } from "./raw_peer.ts";
import { openTestHost, randomSeed } from "./test_host.ts";

const text = (value: string) => new TextEncoder().encode(value);
const read = (bytes: Uint8Array | undefined) =>
  bytes === undefined ? undefined : new TextDecoder().decode(bytes);
const coded = (code: ErrorCode, message: RegExp) => (error: CodedError) => {
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  return true;
};

Deno.test("openP2pHost() takes the peer id from the seed and lists dialable addresses", async () => {
  await using node = await openTestHost({ seed: new Uint8Array(32), listen: ["/ip4/0.0.0.0/tcp/0"] });
  const peerId = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
  assert.equal(node.peerId, peerId);
  const addresses = node.host.addresses();
  assert.ok(addresses.some((address) => address.startsWith("/ip4/127.0.0.1/tcp/")), addresses.join());
  for (const address of addresses) {
    assert.match(address, new RegExp(`^/ip4/\\d+\\.\\d+\\.\\d+\\.\\d+/tcp/[1-9]\\d*/p2p/${peerId}$`));
    assert.doesNotMatch(address, /\/0\.0\.0\.0\//);
  }
});

Deno.test("openP2pHost() throws unavailable naming the address when it cannot be bound", async () => {
  await using node = await openTestHost();
  const taken = node.address.replace(/\/p2p\/.*/, "");
  await assert.rejects(
    openTestHost({ listen: ["/ip4/127.0.0.1/tcp/0", taken] }),
    coded("unavailable", new RegExp(`Could not listen on ${taken}: .*(AddrInUse|EADDRINUSE)`)),
  );
  await assert.rejects(
    openTestHost({ listen: ["/ip4/192.0.2.77/tcp/0"] }),
    coded("unavailable", /^[^\n]*192\.0\.2\.77\/tcp\/0: E[A-Z]+: [^\n]{1,150}$/),
  );
  await assert.rejects(
    openTestHost({ listen: ["/ip4/127.0.0.1/udp/0"] }),
    coded("invalid_argument", /udp\/0: no transport listens there; known are .*quic-v1\/noise/),
  );
  await assert.rejects(openTestHost({ listen: ["somewhere"] }), coded("invalid_argument", /somewhere/));
});

Deno.test("openP2pHost() throws invalid_argument when a bootstrap peer has no address or id", async () => {
  for (
    const peer of ["/ip4/127.0.0.1/tcp/1", "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN", "nonsense"]
  ) {
    await assert.rejects(
      openTestHost({ bootstrapPeers: [peer] }),
      coded("invalid_argument", /bootstrap peer/),
    );
  }
});

Deno.test("connect() opens one connection that both sides are told of", async () => {
  await using a = await openTestHost();
  await using b = await openTestHost();
  const bare = b.address.replace(/\/p2p\/.*/, "");
  const peer = await a.host.connect(b.peerId, [bare]);
  assert.deepEqual({ ...peer, connectedAtMs: 0 }, {
    peerId: b.peerId,
    address: b.address,
    addresses: [bare],
    direction: "outbound",
    transport: "tcp",
    relayed: false,
    relayId: undefined,
    roundTripMs: undefined,
    sentBytes: 0,
    receivedBytes: 0,
    punch: undefined,
    connectedAtMs: 0,
    foundBy: "dial",
  });
  await b.until(() => b.connected.length === 1);
  assert.equal(b.connected[0]?.peerId, a.peerId);
  assert.equal(b.connected[0]?.direction, "inbound");
  assert.equal(b.connected[0]?.foundBy, "inbound");
  assert.equal(a.connected.length, 1);
  assert.equal((await a.host.connect(b.peerId, [b.address])).connectedAtMs, peer.connectedAtMs);
  assert.ok(a.host.isConnected(b.peerId));
  assert.deepEqual(a.host.peers().map(({ peerId }) => peerId), [b.peerId]);
  await a[Symbol.asyncDispose]();
  await b.until(() => b.disconnected.length === 1);
  assert.deepEqual(b.disconnected, [a.peerId]);
  assert.deepEqual(b.host.peers(), []);
});

Deno.test("connect() from both sides at once tells each side once", async () => {
  await using a = await openTestHost();
  await using b = await openTestHost();
  const [toB, toA] = await Promise.all([
    a.host.connect(b.peerId, [b.address]),
    b.host.connect(a.peerId, [a.address]),
  ]);
  assert.deepEqual([toB.peerId, toA.peerId], [b.peerId, a.peerId]);
  await a.host.ping(b.peerId);
  await b.host.ping(a.peerId);
  assert.deepEqual([a.connected.length, b.connected.length], [1, 1]);
  await a[Symbol.asyncDispose]();
  await b.until(() => b.disconnected.length > 0);
  assert.deepEqual([a.disconnected, b.disconnected], [[], [a.peerId]]);
});

Deno.test("peers are told our name, and an inbound peer's own addresses serve for dialing it later", async () => {
  const seed = randomSeed();
  await using b = await openTestHost({ agentVersion: "agentanycast/1.2.3" });
  await using raw = await startRawPeer();
  const identified = Promise.withResolvers<string | undefined>();
  raw.libp2p.addEventListener("peer:identify", ({ detail }) => identified.resolve(detail.agentVersion));
  await raw.libp2p.dial(multiaddr(b.address));
  assert.equal(await identified.promise, "agentanycast/1.2.3");

  const first = await openTestHost({ seed });
  const bare = first.address.replace(/\/p2p\/.*/, "");
  await first.host.connect(b.peerId, [b.address]);
  await b.until(() => b.host.isConnected(first.peerId));
  const known = () => b.host.peers().find(({ peerId }) => peerId === first.peerId)?.addresses ?? [];
  await untilHolds(() => known().includes(bare));
  await first[Symbol.asyncDispose]();
  await b.until(() => b.disconnected.includes(first.peerId));
  await using second = await openTestHost({ seed, listen: [bare] });
  await b.host.sendA2aFrame(second.peerId, text("welcome back"));
  await second.until(() => second.frames.length === 1);
  assert.equal(b.connected.at(-1)?.foundBy, "dial");
});

Deno.test("connect() throws invalid_argument when the id is our own, malformed or not the one of the address", async () => {
  await using a = await openTestHost();
  await using b = await openTestHost();
  await assert.rejects(a.host.connect(a.peerId, [a.address]), coded("invalid_argument", /own id/));
  await assert.rejects(a.host.connect("someone", [b.address]), coded("invalid_argument", /someone/));
  await assert.rejects(a.host.connect(b.peerId, [a.address]), coded("invalid_argument", /names peer/));
  await assert.rejects(a.host.connect(b.peerId, ["127.0.0.1:4001"]), coded("invalid_argument", /multiaddr/));
  assert.deepEqual(a.host.peers(), []);
});

Deno.test("connect() throws unavailable saying what was tried when nobody or somebody else answers", async () => {
  await using a = await openTestHost();
  await using b = await openTestHost();
  await using gone = await openTestHost();
  const { address, peerId } = gone;
  await gone[Symbol.asyncDispose]();
  await assert.rejects(
    a.host.connect(peerId, [address]),
    coded("unavailable", new RegExp(`tried ${address}: .*refused`, "i")),
  );
  await assert.rejects(a.host.connect(peerId, []), coded("unavailable", /none of its addresses is known/));
  const wrong = b.address.replace(/\/p2p\/.*/, "");
  await assert.rejects(
    a.host.connect(peerId, [wrong]),
    coded("unavailable", /does not match expected remote identity/),
  );
  await assert.rejects(a.host.sendA2aFrame(peerId, text("x")), coded("unavailable", /none of its addresses/));
  assert.deepEqual(a.host.peers(), []);
});

Deno.test("connect() throws by its signal, and unavailable after its own deadline, when nobody answers", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = silent.accept();
  const { port } = silent.addr as Deno.NetAddr;
  await using a = await openTestHost({ limits: { dialTimeoutMs: 30 } });
  await using b = await openTestHost();
  const nowhere = `/ip4/127.0.0.1/tcp/${port}`;
  await assert.rejects(a.host.connect(b.peerId, [nowhere]), coded("unavailable", /No answer within 30 ms/));
  const giveUp = new AbortController();
  const connecting = b.host.connect(a.peerId, [nowhere], { signal: giveUp.signal });
  giveUp.abort();
  await assert.rejects(connecting, coded("cancelled", /cancelled/));
  (await accepted).close();
});

Deno.test("sendA2aFrame() delivers frames in order, dialing the known address", async () => {
  await using a = await openTestHost();
  await using b = await openTestHost();
  await a.host.connect(b.peerId, [b.address]);
  for (let i = 0; i < 50; i++) await a.host.sendA2aFrame(b.peerId, text(`frame ${i}`));
  await a.host.sendA2aFrame(b.peerId, new Uint8Array(0));
  await b.until(() => b.frames.length === 51);
  const sorted = b.frames.map(({ frame }) => read(frame)).sort();
  assert.deepEqual(sorted, ["", ...Array.from({ length: 50 }, (_, i) => `frame ${i}`)].sort());
  assert.ok(b.frames.every(({ peerId }) => peerId === a.peerId));
  await b.host.sendA2aFrame(a.peerId, text("back"));
  await a.until(() => a.frames.length === 1);
});

Deno.test("sendA2aFrame() carries 16 MiB and refuses one byte more", async () => {
  await using a = await openTestHost();
  await using b = await openTestHost();
  await a.host.connect(b.peerId, [b.address]);
  const frame = new Uint8Array(MAX_FRAME_BYTES);
  for (let i = 0; i < frame.length; i += 1021) frame[i] = i;
  await a.host.sendA2aFrame(b.peerId, frame);
  await b.until(() => b.frames.length === 1);
  assert.ok(b.frames[0]!.frame.every((byte, index) => byte === frame[index]));
  await assert.rejects(
    a.host.sendA2aFrame(b.peerId, new Uint8Array(MAX_FRAME_BYTES + 1)),
    coded("invalid_argument", /16777216/),
  );
});

Deno.test("exchangeCard() gives each side the card of the other, or nothing", async () => {
  const seen: (string | undefined)[] = [];
  await using a = await openTestHost();
  await using b = await openTestHost({
    handlers: {
      onCardFrame(peerId, frame) {
        assert.equal(peerId, a.peerId);
        seen.push(read(frame));
        return Promise.resolve(text("card of b"));
      },
    },
  });
  await a.host.connect(b.peerId, [b.address]);
  assert.equal(read(await a.host.exchangeCard(b.peerId, text("card of a"))), "card of b");
  assert.equal(read(await a.host.exchangeCard(b.peerId, new Uint8Array(0))), "card of b");
  assert.deepEqual(seen, ["card of a", ""]);
  assert.equal(await b.host.exchangeCard(a.peerId, text("card of b")), undefined);
});

Deno.test("ping() measures the round trip", async () => {
  await using a = await openTestHost();
  await using b = await openTestHost();
  await a.host.connect(b.peerId, [b.address]);
  assert.ok(await a.host.ping(b.peerId) > 0);
});

Deno.test("a handler that throws is logged and ends its stream alone", async () => {
  await using a = await openTestHost();
  await using b = await openTestHost({
    handlers: {
      onA2aFrame: () => Promise.reject(new Error("no disk")),
      onCardFrame: () => Promise.reject(new Error("no card")),
    },
  });
  await a.host.connect(b.peerId, [b.address]);
  await a.host.sendA2aFrame(b.peerId, text("x"));
  await b.until(() => b.lines.some((line) => line.includes("WARN") && line.includes("no disk")));
  await assert.rejects(a.host.exchangeCard(b.peerId, text("x")), coded("unavailable", /exchange cards/));
  assert.ok(a.host.isConnected(b.peerId));
});

Deno.test("a listener of connections that throws is logged and harms nothing", async () => {
  await using a = await openTestHost({
    handlers: {
      onPeerConnected() {
        throw new Error("listener broke");
      },
    },
  });
  await using b = await openTestHost();
  await a.host.connect(b.peerId, [b.address]);
  assert.ok(a.lines.some((line) => line.includes("listener broke")));
});

Deno.test("disposing a host while a handler runs ends its streams and closes the host once", async () => {
  const started = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  await using a = await openTestHost();
  await using b = await openTestHost({
    handlers: {
      async onA2aFrame() {
        started.resolve();
        await release.promise;
      },
    },
  });
  await a.host.connect(b.peerId, [b.address]);
  const sending = a.host.sendA2aFrame(b.peerId, new Uint8Array(1_000_000));
  await started.promise;
  const closing = b[Symbol.asyncDispose]();
  release.resolve();
  await Promise.all([closing, b[Symbol.asyncDispose]()]);
  await sending.catch((error) => assert.equal(error.code, "unavailable"));
  await a.until(() => a.disconnected.length === 1);
  await assert.rejects(b.host.ping(a.peerId), coded("unavailable", /closed/));
});

Deno.test("disposing a host ends a send that is under way with unavailable", async () => {
  const started = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  await using a = await openTestHost();
  await using b = await openTestHost({
    handlers: {
      async onA2aFrame() {
        started.resolve();
        await release.promise;
      },
    },
    limits: { maxInboundBytesPerPeer: 1 << 20 },
  });
  await a.host.connect(b.peerId, [b.address]);
  const sending = a.host.sendA2aFrame(b.peerId, new Uint8Array(MAX_FRAME_BYTES));
  await assert.rejects(sending, coded("unavailable", /Could not send to \w+: The stream has been reset/));
  release.resolve();
});

Deno.test("a bootstrap peer is dialed again when it comes back on the same port", async () => {
  const seed = randomSeed();
  let server = await openTestHost({ seed });
  const listen = [server.address.replace(/\/p2p\/.*/, "")];
  await using a = await openTestHost({
    bootstrapPeers: [server.address],
    limits: { reconnectMinMs: 10, reconnectMaxMs: 40 },
  });
  await a.until(() => a.connected.length === 1);
  assert.equal(a.connected[0]?.foundBy, "bootstrap");
  await server[Symbol.asyncDispose]();
  await a.until(() => a.disconnected.length === 1 && a.lines.some((line) => line.includes("will try again")));
  server = await openTestHost({ seed, listen });
  await a.until(() => a.connected.length === 2);
  assert.equal(a.connected[1]?.foundBy, "bootstrap");
  await server[Symbol.asyncDispose]();
});

Deno.test("onPeerAddresses() tells where an inbound peer can be dialed", async () => {
  const told = Promise.withResolvers<readonly [string, readonly string[]]>();
  await using a = await openTestHost();
  await using b = await openTestHost({
    handlers: { onPeerAddresses: (...peer) => told.resolve(peer) },
  });
  await a.host.connect(b.peerId, [b.address]);
  const [peerId, addresses] = await told.promise;
  assert.equal(peerId, a.peerId);
  assert.deepEqual(addresses, [a.address.replace(/\/p2p\/.*/, "")]);
});
