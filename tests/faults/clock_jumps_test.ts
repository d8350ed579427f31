import assert from "node:assert/strict";
import { FaultEngines } from "../support/fault_engines.ts";
import { lifeMessage, playLife } from "../support/fault_life.ts";
import { LIFE_SCRIPTS } from "../support/fault_life_scripts.ts";

const HOUR_MS = 60 * 60 * 1000;

/** Both engines; the receiver cannot be reached yet. */
async function startApart(net: FaultEngines): Promise<void> {
  net.reachable = () => false;
  for (const name of ["sender", "receiver"]) {
    net.plan(name, { engine: { envelopeTtlMs: 24 * HOUR_MS } });
    await net.start(name);
  }
}

async function send(net: FaultEngines, taskId: string): Promise<void> {
  const message = lifeMessage(taskId, "user");
  await net.node("sender").engine.sendTask({ peerId: "receiver", taskId, message });
}

async function join(net: FaultEngines): Promise<void> {
  net.reachable = () => true;
  for (const [from, to] of [["sender", "receiver"], ["receiver", "sender"]] as const) {
    net.node(from).engine.peerConnected(to);
  }
  await net.settle();
}

const arrivals = (net: FaultEngines) => net.arrived.map(({ envelope }) => envelope.body.taskId);

Deno.test("tasks arrive in the order in which they were sent when the clock is set back, also over a restart", async () => {
  await using net = new FaultEngines();
  await startApart(net);
  const clock = net.clockOf("sender");
  const sent: string[] = [];
  for (const jumpMs of [0, -HOUR_MS, 0, 5 * HOUR_MS, -8 * HOUR_MS, 0]) {
    clock.jump(jumpMs);
    for (let i = 0; i < 3; i++) {
      const taskId = `t${sent.length}`;
      await send(net, taskId);
      sent.push(taskId);
    }
    net.node("sender").life.die();
    await net.start("sender");
  }
  await join(net);
  assert.deepEqual(arrivals(net), sent);
});

Deno.test("a queued task expires by its sender's own time, whatever the receiver's clock says", async () => {
  for (const jumpMs of [-1000 * HOUR_MS, 1000 * HOUR_MS]) {
    await using net = new FaultEngines();
    net.clockOf("receiver").jump(jumpMs);
    await startApart(net);
    await send(net, "kept");
    net.advance(23 * HOUR_MS);
    await join(net);
    assert.equal((await net.view("receiver", "kept"))?.status, "submitted");
    assert.equal((await net.view("sender", "kept"))?.status, "submitted");
  }
});

Deno.test("a queued task does not expire early when the clock is set back, and not late when it is set forward again", async () => {
  await using net = new FaultEngines();
  await startApart(net);
  await send(net, "queued");
  net.clockOf("sender").jump(-10 * HOUR_MS);
  net.advance(20 * HOUR_MS);
  await net.settle();
  assert.equal((await net.view("sender", "queued"))?.status, "submitted");
  net.clockOf("sender").jump(10 * HOUR_MS);
  net.advance(5 * HOUR_MS);
  await net.settle();
  const expired = await net.view("sender", "queued");
  assert.equal(expired?.status, "failed");
  assert.match(expired?.errorMessage ?? "", /^Could not be delivered: /);
  await join(net);
  assert.deepEqual(arrivals(net), []);
});

Deno.test("tasks live as usual between machines whose clocks are days apart", async () => {
  for (const script of LIFE_SCRIPTS) {
    if (script.hasDeadline) continue; // A deadline is a time of day: it needs clocks that agree.
    for (const jumpMs of [-72 * HOUR_MS, 72 * HOUR_MS]) {
      const { problems } = await playLife(script, { setUp: (net) => net.clockOf("receiver").jump(jumpMs) });
      assert.deepEqual(problems, [], `${script.name}, receiver ${jumpMs} ms off`);
    }
  }
});
