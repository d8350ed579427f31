import assert from "node:assert/strict";
import { RecentBytes, RecentChunks } from "../../a2a/streams/recent_chunks.ts";
import { chunksOf, endOf, Feed, never, read, settle, startOf, StreamNet } from "./stream_net.ts";

const KIB = 1024;
const chunk = (bytes: number) => ({ data: new Uint8Array(bytes), isLast: false });
const iterate = (net: StreamNet) =>
  net.originator.subscribe("task", { signal: never })[Symbol.asyncIterator]();

Deno.test("RecentChunks keeps the latest chunks up to a bound, and counts what it keeps", () => {
  const total = new RecentBytes();
  const recent = new RecentChunks(total);
  for (let sequence = 0; sequence < 10; sequence++) recent.add(sequence, chunk(512 * KIB));
  assert.deepEqual([5, 6, 7, 9].map((sequence) => recent.get(sequence)?.data.length), [
    undefined,
    undefined,
    512 * KIB,
    512 * KIB,
  ]);
  assert.equal(total.used, 3 * (512 * KIB + 64));
  recent.dropBefore(9);
  assert.deepEqual([recent.get(8), total.used], [undefined, 512 * KIB + 64]);
  recent.clear();
  assert.equal(total.used, 0);
});

Deno.test("RecentChunks keeps nothing beyond what all of them may, and begins anew behind a gap", () => {
  const total = new RecentBytes(100 * KIB);
  const [one, other] = [new RecentChunks(total), new RecentChunks(total)];
  one.add(0, chunk(90 * KIB));
  other.add(0, chunk(20 * KIB));
  assert.deepEqual([other.get(0), total.used], [undefined, 90 * KIB + 64]);
  one.add(7, chunk(10));
  assert.deepEqual([one.get(0), one.get(7)?.data.length, total.used], [undefined, 10, 10 + 64]);
});

Deno.test("who reads along is given chunks from memory, who comes late from the disk and then from memory", async () => {
  await using net = new StreamNet();
  const early = iterate(net);
  const feed = new Feed();
  const sent = net.assignee.send(feed, { signal: never });
  feed.push(startOf());
  assert.deepEqual(await read(early, 1), ["start one"]);
  feed.push(...chunksOf(["a", "b"]));
  assert.deepEqual(await read(early, 2), ["0 a", "1 b"]);
  assert.equal(net.spool.reads, 0);
  const rest = read(early, 3); // it has read "b" when it asks for more
  await settle();
  const late = iterate(net);
  assert.deepEqual(await read(late, 3), ["start one", "0 a", "1 b"]);
  assert.equal(net.spool.reads, 1);
  const lateRest = read(late, 3);
  await settle();
  feed.push(...chunksOf(["c", "d"], { from: 2 }), endOf("complete"));
  feed.end();
  await sent;
  assert.deepEqual([await rest, await lateRest], [["2 c", "3 d", "end complete"], [
    "2 c",
    "3 d",
    "end complete",
  ]]);
  assert.equal(net.spool.reads, 1);
  await Promise.all([early.return?.(), late.return?.()]);
});

Deno.test("a reader that falls behind what is in memory goes on from the disk", async () => {
  await using net = new StreamNet({ windowBytes: 8 * KIB * KIB });
  const events = iterate(net);
  const text = "x".repeat(KIB * KIB);
  const feed = new Feed();
  const sent = net.assignee.send(feed, { signal: never });
  feed.push(startOf(), ...chunksOf(["first"]));
  assert.deepEqual(await read(events, 2), ["start one", "0 first"]);
  feed.push(...chunksOf([text, text, text, "last"], { from: 1 }), endOf("complete"));
  feed.end();
  await sent;
  const [one, two, three, last, end] = await read(events, 5);
  assert.deepEqual([one, two, three].map((event) => event?.length), Array(3).fill(text.length + 2));
  assert.deepEqual([last, end], ["4 last", "end complete"]);
  assert.equal(net.spool.reads, 1);
  await events.return?.();
});
