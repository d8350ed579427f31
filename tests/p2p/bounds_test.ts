import assert from "node:assert/strict";
import type { Connection } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import { CodedError } from "../../core/errors.ts";
import { silentLogger } from "../../core/log.ts";
import { keepConnected } from "../../p2p/bootstrap.ts";
import { A2A_PROTOCOL } from "../../p2p/constants.ts";
import { ByteBudget } from "../../p2p/byte_budget.ts";
import { withDeadline } from "../../p2p/deadline.ts";
import { resolveLimits } from "../../p2p/limits.ts";
import { toPeerId } from "../../p2p/peer_address.ts";
import { PeerMemory } from "../../p2p/peer_memory.ts";
import { startRawPeer } from "./raw_peer.ts";
import { openTestHost } from "./test_host.ts";

const never = (signal: AbortSignal) =>
  new Promise<never>((_resolve, reject) =>
    signal.addEventListener("abort", () => reject(new Error("stopped")))
  );

Deno.test("ByteBudget bounds each peer and all together, and gives back what is disposed", () => {
  const budget = new ByteBudget({ totalBytes: 100, bytesPerPeer: 60 });
  const exhausted = { code: "resource_exhausted" };
  const first = budget.lease("a");
  first.resize(40);
  {
    using second = budget.lease("a");
    second.resize(20);
    assert.throws(() => second.resize(21), exhausted);
    assert.equal(budget.usedBytes, 60);
    using other = budget.lease("b");
    assert.throws(() => other.resize(41), exhausted);
    other.resize(40);
  }
  assert.equal(budget.usedBytes, 40);
  first.resize(60);
  first.resize(10);
  first[Symbol.dispose]();
  assert.equal(budget.usedBytes, 0);
});

Deno.test("withDeadline() passes on the result, its timeout and the caller's reason", async () => {
  assert.equal(await withDeadline({ timeoutMs: 60_000 }, () => Promise.resolve(7)), 7);
  await assert.rejects(withDeadline({ timeoutMs: 1 }, never), { name: "TimeoutError" });
  const reason = new CodedError("aborted", "enough");
  const controller = new AbortController();
  const waiting = withDeadline({ timeoutMs: 60_000, signal: controller.signal }, never);
  controller.abort(reason);
  await assert.rejects(waiting, reason);
  await assert.rejects(
    withDeadline({ timeoutMs: 60_000, signal: controller.signal }, () => Promise.resolve()),
    reason,
  );
});

Deno.test("resolveLimits() fills in defaults and throws RangeError when a limit is not a positive integer", () => {
  assert.equal(resolveLimits({ maxConnections: 5 }).maxConnections, 5);
  assert.equal(resolveLimits().dialTimeoutMs, 10_000);
  for (const value of [0, -1, 1.5, NaN, Infinity]) {
    assert.throws(() => resolveLimits({ maxConnections: value }), RangeError);
  }
});

Deno.test("keepConnected() doubles its pause up to the limit, starts anew after a connection and stops by its signal", async () => {
  const pauses: number[] = [];
  const stop = new AbortController();
  const outcomes = [false, false, false, false, true, false];
  await keepConnected({
    dialer: {
      connect(peerId, addresses, { foundBy }) {
        assert.equal(foundBy, "bootstrap");
        assert.deepEqual(addresses, ["/ip4/192.0.2.7/tcp/1"]);
        if (!outcomes.shift()) return Promise.reject(new CodedError("unavailable", "nobody"));
        return Promise.resolve({
          peerId,
          address: "",
          addresses,
          direction: "outbound",
          transport: "tcp",
          relayed: false,
          relayId: undefined,
          roundTripMs: undefined,
          sentBytes: 0,
          receivedBytes: 0,
          punch: undefined,
          connectedAtMs: 0,
          foundBy,
        });
      },
    },
    whileConnected: () => Promise.resolve(),
    logger: silentLogger,
    clock: {
      now: () => 0,
      sleep(delayMs) {
        pauses.push(delayMs);
        if (outcomes.length === 0) stop.abort();
        return stop.signal.aborted ? Promise.reject(stop.signal.reason) : Promise.resolve();
      },
    },
    random: () => 0.5,
  }, {
    target: { peerId: "a", addresses: ["/ip4/192.0.2.7/tcp/1"] },
    delays: () => ({ minMs: 100, maxMs: 500 }),
    signal: stop.signal,
  });
  assert.deepEqual(pauses, [75, 150, 300, 375, 75, 150]);
});

Deno.test("PeerMemory forgets the longest untouched peer and never a connected one", async () => {
  const ids = await Promise.all([1, 2, 3, 4].map(async (fill) => {
    await using host = await openTestHost({ seed: new Uint8Array(32).fill(fill), listen: [] });
    return host.peerId;
  }));
  await using node = await startRawPeer();
  const { peerStore } = node.libp2p;
  for (const id of ids) {
    await peerStore.merge(toPeerId(id), { multiaddrs: [multiaddr("/ip4/192.0.2.7/tcp/1")] });
  }
  const connected = new Set([ids[1]]);
  const memory = new PeerMemory({
    libp2p: { peerStore, getConnections: (id) => connected.has(String(id)) ? [{} as Connection] : [] },
    maxPeers: 2,
    logger: silentLogger,
  });
  for (const index of [0, 1, 0, 2, 3]) await memory.touch(ids[index]!);
  const known = await Promise.all(ids.map((id) => peerStore.has(toPeerId(id))));
  assert.deepEqual(known, [false, true, true, true]);
});

Deno.test("a host with too many connections keeps a peer that was active and ends one that was not", async () => {
  await using host = await openTestHost({ limits: { maxConnections: 2 } });
  await using active = await startRawPeer();
  const stream = await active.open(host, A2A_PROTOCOL);
  stream.send(Uint8Array.of(0, 0, 0, 1, 7));
  await stream.close();
  await host.until(() => host.frames.length === 1);
  await using first = await openTestHost();
  await using second = await openTestHost();
  await host.host.connect(first.peerId, [first.address]);
  // Among equals libp2p ends inbound connections first, and the active one is the only inbound one.
  await host.host.connect(second.peerId, [second.address]);
  await host.until(() => host.disconnected.length === 1);
  assert.ok(host.host.isConnected(active.peerId));
});
