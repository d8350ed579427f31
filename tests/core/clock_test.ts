import assert from "node:assert/strict";
import { systemClock } from "../../core/clock.ts";

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
