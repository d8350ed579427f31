import assert from "node:assert/strict";
import type { Connection, Libp2p } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import { silentLogger } from "../../core/log.ts";
import { PathCheck } from "../../p2p/path_check.ts";
import { ticks } from "../support/delivery_rig.ts";
import { FakeClock } from "../support/fake_clock.ts";

const PEER = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const DIRECT = "/ip4/192.0.2.1/udp/1/quic-v1/noise";
const RELAYED = `/ip4/192.0.2.9/tcp/1/p2p/${PEER}/p2p-circuit`;

interface Path {
  readonly connection: Connection;
  /** A ping over it comes back. */
  readonly pong: PromiseWithResolvers<void>;
  pings: number;
  aborted: boolean;
}

function toPath(address: string, direction: "inbound" | "outbound" = "outbound"): Path {
  const path: Path = {
    connection: {
      ...{ direction, status: "open", remoteAddr: multiaddr(address), remotePeer: peerIdFromString(PEER) },
      abort: () => void (path.aborted = true),
    } as unknown as Connection,
    ...{ pong: Promise.withResolvers(), pings: 0, aborted: false },
  };
  return path;
}

/** A peer that is connected by `paths`, the best first. */
function rig(paths: Path[], { needsAll = false } = {}) {
  const clock = new FakeClock();
  const dialed = Promise.withResolvers<void>();
  const state = { dials: 0, work: [] as Promise<void>[] };
  let opened: (event: { detail: Connection }) => void = () => {};
  const check = new PathCheck({
    libp2p: {
      addEventListener: (_name: string, listener: typeof opened) => void (opened = listener),
    } as unknown as Libp2p,
    connectionsTo: () => paths.filter(({ aborted }) => !aborted).map(({ connection }) => connection),
    ping(connection) {
      const path = paths.find((one) => one.connection === connection);
      if (path === undefined) throw new Error("no such path");
      path.pings++;
      return path.pong.promise;
    },
    dialRelayed() {
      state.dials++;
      return dialed.promise;
    },
    needsAll: () => needsAll,
    inBackground: (work) => void state.work.push(work),
    signal: new AbortController().signal,
    ...{ clock, logger: silentLogger },
  });
  return {
    ...{ check, state, dialed },
    open: ({ connection }: Path) => opened({ detail: connection }),
    async pass(ms: number) {
      await ticks();
      clock.advance(ms);
      await ticks();
    },
  };
}

Deno.test("PathCheck ends a direct connection when the peer answers through a relay alone", async () => {
  const direct = toPath(DIRECT);
  const { check, state, dialed, pass } = rig([direct]);
  check.doubt(PEER);
  check.doubt(PEER);
  await pass(499);
  assert.deepEqual([direct.pings, state.dials], [1, 0]);
  await pass(1);
  assert.equal(state.dials, 1);
  dialed.resolve();
  await pass(249);
  assert.equal(direct.aborted, false);
  await pass(1);
  assert.equal(direct.aborted, true);
  await Promise.all(state.work);
});

Deno.test("PathCheck leaves a direct connection alone whose peer answers, however late", async () => {
  for (const when of ["soon", "while a relay is dialed", "at the last moment"]) {
    const direct = toPath(DIRECT);
    const { check, state, dialed, pass } = rig([direct]);
    check.doubt(PEER);
    if (when !== "soon") await pass(500);
    if (when === "at the last moment") {
      dialed.resolve();
      await pass(200);
    }
    direct.pong.resolve();
    await Promise.all(state.work);
    await pass(10_000);
    assert.deepEqual([direct.aborted, state.dials], [false, when === "soon" ? 0 : 1], when);
  }
});

Deno.test("PathCheck leaves a silent connection alone while no relay leads to the peer", async () => {
  const direct = toPath(DIRECT);
  const { check, state, dialed, pass } = rig([direct]);
  check.doubt(PEER);
  await pass(500);
  dialed.reject(new Error("no relay"));
  await Promise.all(state.work);
  assert.equal(direct.aborted, false);
  check.doubt(PEER);
  await pass(500);
  assert.equal(state.dials, 2);
});

Deno.test("PathCheck looks at a direct connection when the peer comes through a relay, which it asks then", async () => {
  const [direct, relayed] = [toPath(DIRECT), toPath(RELAYED, "inbound")];
  const { open, state, pass } = rig([direct, relayed]);
  open(relayed);
  await pass(500);
  assert.deepEqual([direct.pings, relayed.pings, state.dials], [1, 1, 0]);
  relayed.pong.resolve();
  await pass(250);
  await Promise.all(state.work);
  assert.deepEqual([direct.aborted, relayed.aborted], [true, false]);
});

Deno.test("PathCheck leaves relayed peers and relays alone", async () => {
  for (const [paths, options] of [[[toPath(RELAYED)], {}], [[toPath(DIRECT)], { needsAll: true }]] as const) {
    const { check, state } = rig([...paths], options);
    check.doubt(PEER);
    await Promise.all(state.work);
    assert.equal(paths[0].pings, 0);
  }
});
