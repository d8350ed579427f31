import assert from "node:assert/strict";
import { MAX_TIMER_MS, startTimer, systemClock } from "../../core/clock.ts";
import { FakeClock } from "../support/fake_clock.ts";

const { now, sleep } = systemClock;
const FOREVER_MS = 2_000_000_000;

Deno.test("now() is the time of day in milliseconds", () => {
  const before = Date.now();
  const time = now();
  assert(before <= time && time <= Date.now());
});

Deno.test("sleep() resolves and lets go of its signal when the time is over", async () => {
  const controller = new AbortController();
  await sleep(0, controller.signal);
  controller.abort();
});

Deno.test("sleep() rejects with the reason when its signal has fired before", async () => {
  await assert.rejects(sleep(FOREVER_MS, AbortSignal.abort(new Error("stop"))), /^Error: stop$/);
});

Deno.test("sleep() rejects with the reason and leaves no timer when its signal fires", async () => {
  const controller = new AbortController();
  const sleeping = sleep(FOREVER_MS, controller.signal);
  controller.abort(new Error("stop"));
  await assert.rejects(sleeping, /^Error: stop$/);
});

Deno.test("startTimer() calls when the time has come, unless it is disposed before", async () => {
  const clock = new FakeClock();
  const called: string[] = [];
  startTimer(clock, 10, () => called.push("first"));
  startTimer(clock, 10, () => called.push("disposed"))[Symbol.dispose]();
  clock.advance(9);
  await Promise.resolve();
  assert.equal(called.length, 0);
  clock.advance(1);
  await Promise.resolve();
  assert.equal(called.join(), "first");
  assert.equal(clock.sleeping, 0);
  startTimer(systemClock, 60_000, () => called.push("never"))[Symbol.dispose](); // else it leaks
  await new Promise<void>((resolve) => startTimer(systemClock, 0, resolve));
});

Deno.test("startTimer() and sleep() wait for longer than one timer of the system can", async () => {
  const real = globalThis.setTimeout;
  const delays: number[] = [];
  let wake = () => {};
  globalThis.setTimeout = ((work: () => void, delayMs: number) => {
    delays.push(delayMs);
    wake = work;
    return 0;
  }) as unknown as typeof setTimeout;
  try {
    let called = 0;
    startTimer(systemClock, 2 * MAX_TIMER_MS + 5, () => called++);
    for (let round = 0; round < 3; round++) {
      assert.equal(called, 0);
      wake();
    }
    assert.equal(called, 1);
    assert.deepEqual(delays.splice(0), [MAX_TIMER_MS, MAX_TIMER_MS, 5]);
    const stop = new AbortController();
    const sleeping = sleep(Infinity, stop.signal);
    for (let round = 0; round < 3; round++) wake();
    assert.deepEqual([...new Set(delays)], [MAX_TIMER_MS]);
    stop.abort(new Error("stop"));
    await assert.rejects(sleeping, /^Error: stop$/);
  } finally {
    globalThis.setTimeout = real;
  }
});
