import assert from "node:assert/strict";
import { RelayReturn } from "../../daemon/relay_return.ts";
import { FakeClock } from "../support/fake_clock.ts";

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
}

Deno.test("RelayReturn tries again several times after a relay is back, and begins anew with the next", async () => {
  const clock = new FakeClock();
  let tries = 0;
  using back = new RelayReturn({ clock });
  back.serve({ retryUndelivered: () => tries++ });
  const pass = async (ms: number) => {
    clock.advance(ms);
    await settle();
    return tries;
  };
  back.connected();
  await settle();
  assert.equal(await pass(199), 0);
  assert.equal(await pass(1), 1);
  assert.equal(await pass(800), 2);
  back.connected();
  await settle();
  assert.equal(await pass(200), 3);
  for (const ms of [800, 1_500, 2_500, 5_000]) await pass(ms);
  assert.equal(tries, 7);
  assert.equal(await pass(60_000), 7);
});

Deno.test("RelayReturn tries nothing once it is disposed", async () => {
  const clock = new FakeClock();
  let tries = 0;
  const back = new RelayReturn({ clock });
  back.serve({ retryUndelivered: () => tries++ });
  back.connected();
  await settle();
  back[Symbol.dispose]();
  clock.advance(60_000);
  await settle();
  assert.equal(tries, 0);
});
