import assert from "node:assert/strict";
import { Channel } from "../../core/channel.ts";

Deno.test("Channel hands on items in order, before and while it is read", async () => {
  const channel = new Channel<number>(4);
  channel.push(1);
  channel.push(2);
  const read = Array.fromAsync(channel);
  await Promise.resolve();
  channel.push(3);
  channel.close();
  assert.deepEqual(await read, [1, 2, 3]);
});

Deno.test("push() refuses an item when the channel is full and takes one again after a read", async () => {
  const channel = new Channel<string>(2);
  assert.deepEqual([channel.push("a"), channel.push("b"), channel.push("c")], [true, true, false]);
  const reader = channel[Symbol.asyncIterator]();
  assert.equal((await reader.next()).value, "a");
  assert.equal(channel.push("d"), true);
  channel.close();
  assert.deepEqual([(await reader.next()).value, (await reader.next()).value], ["b", "d"]);
  assert.equal((await reader.next()).done, true);
});

Deno.test("push() refuses an item when the channel is closed", async () => {
  const channel = new Channel<number>(1);
  channel.close();
  assert.equal(channel.push(1), false);
  assert.deepEqual(await Array.fromAsync(channel), []);
});

Deno.test("close() with an error lets the reader finish the queue and then meet it", async () => {
  const channel = new Channel<number>(2);
  channel.push(1);
  channel.close(new Error("cut"));
  const seen: number[] = [];
  await assert.rejects(async () => {
    for await (const item of channel) seen.push(item);
  }, /^Error: cut$/);
  assert.deepEqual(seen, [1]);
});

Deno.test("close() wakes a reader that waits", async () => {
  const channel = new Channel<number>(1);
  const read = Array.fromAsync(channel);
  await Promise.resolve();
  channel.close();
  assert.deepEqual(await read, []);
});

Deno.test("Channel closes and calls onClose once when the reader leaves the loop", async () => {
  let closes = 0;
  const channel = new Channel<number>(2, () => closes++);
  channel.push(1);
  channel.push(2);
  for await (const _ of channel) break;
  channel.close();
  assert.deepEqual([channel.closed, channel.push(3), closes], [true, false, 1]);
});

Deno.test("Channel refuses a capacity that is not positive", () => {
  for (const capacity of [0, -1, NaN]) assert.throws(() => new Channel(capacity), RangeError);
});
