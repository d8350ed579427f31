import assert from "node:assert/strict";
import type { Connection } from "@libp2p/interface";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { DialBackoff } from "../../p2p/dial_backoff.ts";
import { type DialPlan, raceDials } from "../../p2p/dial_race.ts";
import { Changes } from "../support/patience.ts";

const RELAY = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const direct = (port: number) => multiaddr(`/ip4/192.0.2.1/tcp/${port}`);
const relayed = (port: number) => multiaddr(`/ip4/192.0.2.9/tcp/${port}/p2p/${RELAY}/p2p-circuit`);

/** Dials that end when the test says so. */
function rig(plan: Partial<DialPlan>) {
  const dials = new Map<string, PromiseWithResolvers<Connection> & { signal: AbortSignal }>();
  const changes = new Changes();
  let background: Promise<void> = Promise.resolve();
  const stop = new AbortController();
  const winner = raceDials({ direct: [], relayed: [], doubtful: [], ...plan }, {
    dial(address, signal) {
      const dial = { ...Promise.withResolvers<Connection>(), signal };
      signal.addEventListener("abort", () => dial.reject(signal.reason));
      dials.set(address.toString(), dial);
      changes.tell();
      return dial.promise;
    },
    signal: stop.signal,
    inBackground: (work) => void (background = work),
  });
  winner.catch(() => {
    // Each test looks at it by itself.
  });
  return {
    winner,
    stop,
    background: () => background,
    dialed: () => [...dials.keys()],
    async until(address: Multiaddr) {
      await changes.until(() => dials.has(address.toString()), `a dial of ${address}`);
      return dials.get(address.toString())!;
    },
    async connect(address: Multiaddr) {
      (await this.until(address)).resolve({ remoteAddr: address } as Connection);
    },
    async fail(address: Multiaddr) {
      (await this.until(address)).reject(new Error(`no ${address}`));
    },
  };
}

Deno.test("raceDials() dials direct addresses one after the other as they fail, and a relayed one when none is left", async () => {
  const race = rig({ direct: [direct(1), direct(2)], relayed: [relayed(3)] });
  await race.until(direct(1));
  assert.deepEqual(race.dialed(), [direct(1).toString()]);
  await race.fail(direct(1));
  await race.fail(direct(2));
  await race.connect(relayed(3));
  assert.ok((await race.winner).remoteAddr.equals(relayed(3)));
  await race.background();
});

Deno.test("raceDials() does not wait for silent direct addresses, and leaves them running beside a relayed winner", async () => {
  const race = rig({ direct: [direct(1)], relayed: [relayed(2)] });
  await race.connect(relayed(2));
  assert.ok((await race.winner).remoteAddr.equals(relayed(2)));
  const late = await race.until(direct(1));
  assert.equal(late.signal.aborted, false);
  await race.connect(direct(1));
  await race.background();
});

Deno.test("raceDials() gives up the others when a direct address answers", async () => {
  const race = rig({ direct: [direct(1), direct(2)], doubtful: [direct(3)] });
  const slow = await race.until(direct(1));
  await race.connect(direct(2));
  assert.ok((await race.winner).remoteAddr.equals(direct(2)));
  assert.equal(slow.signal.aborted, true);
  await race.background();
  assert.equal(race.dialed().length, 2);
});

Deno.test("raceDials() rejects with every failure, at once without addresses, and with the reason of its signal", async () => {
  const race = rig({ direct: [direct(1)], doubtful: [direct(2)] });
  await race.fail(direct(1));
  await race.fail(direct(2));
  await assert.rejects(race.winner, (error: AggregateError) => {
    assert.deepEqual(error.errors.map(({ message }) => message), [`no ${direct(1)}`, `no ${direct(2)}`]);
    return true;
  });
  await assert.rejects(rig({}).winner, /no address to dial/);
  const stopped = rig({ direct: [direct(1)] });
  const dial = await stopped.until(direct(1));
  stopped.stop.abort(new Error("enough"));
  await assert.rejects(stopped.winner, /enough/);
  assert.equal(dial.signal.aborted, true);
});

Deno.test("DialBackoff doubts an address for longer with each failure, until it connects", () => {
  let nowMs = 0;
  const backoff = new DialBackoff(() => nowMs);
  assert.equal(backoff.isDoubtful("a"), false);
  backoff.note("a", "failed");
  assert.equal(backoff.isDoubtful("a"), true);
  nowMs = 1_000;
  assert.equal(backoff.isDoubtful("a"), false);
  backoff.note("a", "failed");
  nowMs = 2_900;
  assert.equal(backoff.isDoubtful("a"), true);
  backoff.note("a", "connected");
  assert.equal(backoff.isDoubtful("a"), false);
});
