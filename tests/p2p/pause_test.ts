import assert from "node:assert/strict";
import { Pause } from "../../p2p/pause.ts";

const LONG_MS = 60_000;

Deno.test("Pause.end() cuts the pause under way short, or the next one, and no other", async () => {
  const asked: number[] = [];
  const pause = new Pause({
    now: () => 0,
    sleep: (ms, signal) => {
      asked.push(ms);
      return ms === 0 ? Promise.resolve() : untilAborted(signal);
    },
  });
  const { signal } = new AbortController();
  const taken = pause.take(LONG_MS, signal);
  pause.end();
  assert.equal(await taken, true);
  assert.equal(await pause.take(0, signal), false);
  pause.end();
  assert.equal(await pause.take(LONG_MS, signal), true);
  assert.deepEqual(asked, [LONG_MS, 0, LONG_MS]);
});

Deno.test("Pause.take() rejects with the reason of its signal", async () => {
  const abort = new AbortController();
  const clock = { now: () => 0, sleep: (_ms: number, signal?: AbortSignal) => untilAborted(signal) };
  const taken = new Pause(clock).take(LONG_MS, abort.signal);
  abort.abort(new Error("enough"));
  await assert.rejects(taken, /enough/);
});

function untilAborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((_, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
