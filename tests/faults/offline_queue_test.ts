import assert from "node:assert/strict";
import { FaultEngines } from "../support/fault_engines.ts";
import { lifeMessage } from "../support/fault_life.ts";

const TASKS = 10_000;

Deno.test("ten thousand tasks for a peer that is away arrive once, in order, after both nodes were started again", async () => {
  await using net = new FaultEngines();
  net.reachable = () => false;
  const offers = { total: 2 * TASKS, perPeer: 2 * TASKS };
  for (const name of ["sender", "receiver"]) {
    net.plan(name, { engine: { offers } });
    await net.start(name);
  }
  const { engine } = net.node("sender");
  const taskIds = Array.from({ length: TASKS }, (_, index) => `t${index}`);
  for (const taskId of taskIds) {
    await engine.sendTask({ peerId: "receiver", taskId, message: lifeMessage(taskId, "user") });
  }
  for (const name of ["sender", "receiver"]) {
    net.node(name).life.die();
    await net.start(name);
  }
  net.reachable = () => true;
  net.node("sender").engine.peerConnected("receiver");
  const { offered } = net.node("receiver");
  while (offered.length < TASKS) {
    const before = offered.length;
    await net.settle();
    assert.ok(offered.length > before, `it stands still after ${before} tasks`);
  }
  assert.deepEqual(offered, taskIds);
  assert.deepEqual(net.arrived.map(({ envelope }) => envelope.body.taskId), taskIds);
});
