import assert from "node:assert/strict";
import { Agenda } from "../../a2a/agenda.ts";
import { silentLogger } from "../../core/log.ts";
import { FakeClock } from "../support/fake_clock.ts";

async function ticks(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

function startAgenda(onDue: (taskId: string) => Promise<void>) {
  const clock = new FakeClock();
  const agenda = new Agenda({ clock, logger: silentLogger, onDue });
  const stop = new AbortController();
  const running = agenda.run(stop.signal);
  const end = async () => {
    stop.abort();
    await running;
    assert.equal(clock.sleeping, 0);
  };
  return { clock, agenda, end };
}

Deno.test("run() calls for each task when it is due, and not for one that was dropped or moved", async () => {
  const due: string[] = [];
  const { clock, agenda, end } = startAgenda((taskId) => Promise.resolve(void due.push(taskId)));
  agenda.plan("late", clock.now() + 10_000);
  agenda.plan("soon", clock.now() + 1_000);
  agenda.plan("dropped", clock.now() + 1_000);
  agenda.plan("moved", clock.now() + 1_000);
  agenda.drop("dropped");
  agenda.plan("moved", clock.now() + 20_000);
  await ticks();
  clock.advance(900);
  await ticks();
  assert.deepEqual(due, []);
  clock.advance(200);
  await ticks();
  assert.deepEqual(due, ["soon"]);
  agenda.plan("past", clock.now() - 1);
  await ticks();
  clock.advance(100);
  await ticks();
  assert.deepEqual(due, ["soon", "past"]);
  clock.advance(60_000);
  await ticks();
  assert.deepEqual(due, ["soon", "past", "late", "moved"]);
  await end();
});

Deno.test("run() copes with hundreds of thousands of tasks at times of their own", async () => {
  let count = 0;
  const { clock, agenda, end } = startAgenda(() => Promise.resolve(void count++));
  for (let i = 0; i < 200_000; i++) agenda.plan(`${i}`, clock.now() + 60_000 + i * 100);
  await ticks();
  clock.advance(60_000);
  await ticks();
  assert.ok(count >= 1 && count <= 2);
  await end();
});

Deno.test("run() goes on after a task that could not be looked after, and tries it again", async () => {
  const tried: string[] = [];
  const { clock, agenda, end } = startAgenda((taskId) => {
    tried.push(taskId);
    return taskId === "bad" && tried.length < 3 ? Promise.reject(new Error("disk full")) : Promise.resolve();
  });
  agenda.plan("bad", clock.now() + 100);
  agenda.plan("good", clock.now() + 100);
  await ticks();
  clock.advance(200);
  await ticks();
  assert.deepEqual(tried, ["bad", "good"]);
  clock.advance(61_000);
  await ticks();
  assert.deepEqual(tried, ["bad", "good", "bad"]);
  await end();
});

Deno.test("run() goes on while one task hangs, and does not look at that one twice at once", async () => {
  const tried: string[] = [];
  const hanging = Promise.withResolvers<void>();
  const { clock, agenda, end } = startAgenda((taskId) => {
    tried.push(taskId);
    return taskId === "hangs" ? hanging.promise : Promise.resolve();
  });
  agenda.plan("hangs", clock.now() + 100);
  await ticks();
  clock.advance(200);
  await ticks();
  agenda.plan("next", clock.now() + 100);
  agenda.plan("hangs", clock.now() + 100);
  clock.advance(30_000);
  await ticks();
  clock.advance(100);
  await ticks();
  assert.deepEqual(tried, ["hangs", "next"]);
  hanging.resolve();
  await end();
});
