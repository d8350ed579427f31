import assert from "node:assert/strict";
import { cpuMs, residentMiB, watchResident } from "../../bench/processes.ts";

const isLinux = Deno.build.os === "linux";

Deno.test({
  name: "cpuMs() grows with the work of the process",
  ignore: !isLinux,
  async fn() {
    const beforeMs = await cpuMs([Deno.pid]);
    let afterMs = beforeMs;
    while (afterMs === beforeMs) afterMs = await cpuMs([Deno.pid]);
    assert.ok(afterMs > beforeMs);
    assert.equal(await cpuMs([]), 0);
  },
});

Deno.test("cpuMs() and residentMiB() are NaN for a process that is not there", async () => {
  assert.equal(await cpuMs([Deno.pid, 0]), NaN);
  assert.equal(await residentMiB(0), NaN);
});

Deno.test({
  name: "watchResident() sees memory that the work has taken",
  ignore: !isLinux,
  async fn() {
    let held = new Uint8Array();
    const [own] = await watchResident([Deno.pid], () => {
      held = new Uint8Array(64 * 1024 * 1024).fill(1);
      return Promise.resolve();
    });
    assert.equal(held.at(-1), 1);
    assert.ok(own !== undefined && own.maxMiB - own.startMiB > 48);
  },
});

Deno.test("watchResident() throws what the work throws and stops sampling", async () => {
  await assert.rejects(watchResident([Deno.pid], () => Promise.reject(new Error("broken"))), /broken/);
});
