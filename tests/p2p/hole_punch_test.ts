import assert from "node:assert/strict";
import { generateKeyPair } from "@libp2p/crypto/keys";
import type { Libp2p } from "@libp2p/interface";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import { silentLogger } from "../../core/log.ts";
import { HolePuncher } from "../../p2p/hole_punch.ts";
import { decodeHolePunch, encodeHolePunch } from "../../p2p/hole_punch_message.ts";
import { openTestHost } from "./test_host.ts";
import { startTestRelay } from "./test_relay.ts";

const QUIC = ["/ip4/127.0.0.1/udp/0/quic-v1/noise"];
const has = (lines: readonly string[], text: string) => lines.some((line) => line.includes(text));

Deno.test("encodeHolePunch() writes what the specification has, and decodeHolePunch() reads it", () => {
  const addresses = [Uint8Array.of(4, 127, 0, 0, 1), Uint8Array.of(9)];
  const bytes = encodeHolePunch({ type: "connect", addresses });
  assert.deepEqual([...bytes], [0x08, 100, 0x12, 5, 4, 127, 0, 0, 1, 0x12, 1, 9]);
  assert.deepEqual(decodeHolePunch(bytes), { type: "connect", addresses });
  assert.deepEqual([...encodeHolePunch({ type: "sync", addresses: [] })], [0x08, 0xac, 0x02]);
  for (
    const bad of [[], [0x08], [0x08, 1], [0x12, 9, 1], [0x0d, 1, 2, 3, 4], [0x08, ...Array(9).fill(0xff)]]
  ) {
    assert.throws(() => decodeHolePunch(Uint8Array.from(bad)), /cannot be read/);
  }
});

Deno.test("HolePuncher keeps nothing of a peer that went while it was tried", async () => {
  const relay = "/ip4/192.0.2.1/udp/1/quic-v1/noise/p2p/12D3KooWHmNxw3GETCAvVyC52QeKLo3VrhFeKBDNc9JL1pJ7korC";
  const remotePeer = peerIdFromPrivateKey(await generateKeyPair("Ed25519"));
  const connection = { remotePeer, remoteAddr: multiaddr(`${relay}/p2p-circuit`), status: "open" };
  const connections = [connection];
  const asked = Promise.withResolvers<void>();
  const known = Promise.withResolvers<{ protocols: string[]; addresses: never[] }>();
  const libp2p = Object.assign(new EventTarget(), {
    getConnections: () => connections,
    peerStore: {
      get: () => {
        asked.resolve();
        return known.promise;
      },
    },
  });
  const work: Promise<void>[] = [];
  const puncher = new HolePuncher({
    libp2p: libp2p as unknown as Libp2p,
    hasDirect: () => false,
    dial: () => Promise.reject(new Error("nobody is there")),
    ownAddresses: () => [],
    inBackground: (one) => work.push(one),
    signal: AbortSignal.any([]),
    clock: { now: () => 0, sleep: () => Promise.resolve() },
    logger: silentLogger,
  });
  libp2p.dispatchEvent(new CustomEvent("peer:identify", { detail: { connection } }));
  await asked.promise;
  connection.status = "closed";
  connections.length = 0;
  libp2p.dispatchEvent(new CustomEvent("peer:disconnect", { detail: remotePeer }));
  known.resolve({ protocols: [], addresses: [] });
  await Promise.all(work);
  assert.equal(puncher.state(remotePeer.toString()), undefined);
});

Deno.test({
  name: "a relayed connection becomes a direct one, frames go on, and the relayed one ends",
  // The relay of libp2p leaves timers of its reservations behind.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using relay = await startTestRelay();
    const moved: string[] = [];
    const handlers = { onPeerMoved: (peerId: string) => void moved.push(peerId) };
    await using b = await openTestHost({ bootstrapPeers: [relay.address], listen: QUIC });
    await using a = await openTestHost({ bootstrapPeers: [relay.address], listen: QUIC, handlers });
    await b.until(() => has(b.lines, "Reachable through a relay"));
    const relayed = `${relay.address}/p2p-circuit/p2p/${b.peerId}`;
    const peer = await a.host.connect(b.peerId, [relayed]);
    assert.deepEqual([peer.relayed, peer.relayId], [true, relay.peerId]);
    await a.host.sendA2aFrame(b.peerId, Uint8Array.of(1));
    await a.until(() => has(a.lines, "Direct connection to a peer"));
    assert.deepEqual(moved, [b.peerId]);
    const direct = a.host.peers().find(({ peerId }) => peerId === b.peerId);
    assert.deepEqual([direct?.relayed, direct?.transport], [false, "quic"]);
    await a.host.sendA2aFrame(b.peerId, Uint8Array.of(2));
    await b.until(() => b.frames.length === 2);
    assert.deepEqual(b.frames.map(({ frame }) => frame[0]), [1, 2]);
    assert.deepEqual(a.disconnected, []);
  },
});
