import assert from "node:assert/strict";
import type { Envelope } from "../../a2a/mod.ts";
import { FaultEngines } from "../support/fault_engines.ts";
import { LIFE_RESULT, lifeMessage } from "../support/fault_life.ts";

const HOUR_MS = 60 * 60 * 1000;

Deno.test("a repetition of a task that was removed after its end is not run again, also right after a start", async () => {
  await using net = new FaultEngines();
  net.plan("receiver", { engine: { keepMs: HOUR_MS, sweepMs: HOUR_MS } });
  for (const name of ["sender", "receiver"]) await net.start(name);
  for (const taskId of ["first", "second"]) {
    await net.node("sender").engine.sendTask({
      peerId: "receiver",
      taskId,
      message: lifeMessage(taskId, "user"),
    });
    await net.settle();
    await net.node("receiver").engine.completeTask(taskId, { artifacts: [LIFE_RESULT] });
  }
  await net.settle();
  const repeated: Envelope[] = net.arrived.flatMap(({ from, envelope }) =>
    from === "sender" ? [envelope] : []
  );
  assert.equal(repeated.length, 2);
  for (let hours = 0; hours < 3; hours++) {
    net.advance(HOUR_MS);
    await net.settle();
  }
  assert.equal(await net.view("receiver", "first"), undefined);
  net.node("receiver").life.die();
  const { engine, offered } = await net.start("receiver");
  const answers = await Promise.all(repeated.map((envelope) => engine.receive("sender", envelope)));
  await net.settle();
  assert.deepEqual(answers, [{ outcome: "taken" }, { outcome: "taken" }]);
  assert.deepEqual(offered, ["first", "second"]);
  for (const taskId of ["first", "second"]) assert.equal(await net.view("receiver", taskId), undefined);
});
