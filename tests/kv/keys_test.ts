import assert from "node:assert/strict";
import * as keys from "../../kv/keys.ts";
import { encodeKey } from "../../kv/limits.ts";

Deno.test("keys are those of the format on disk", () => {
  assert.deepEqual({
    task: keys.taskKey("id"),
    taskPrefix: keys.taskPrefix,
    taskByTime: keys.taskByTimeKey(1_700_000_000_000, "id"),
    taskByTimePrefix: keys.taskByTimePrefix,
    openTask: keys.openTaskKey("id"),
    openTaskPrefix: keys.openTaskPrefix,
    outbox: keys.outboxKey("peer", 7),
    outboxOfPeer: keys.outboxPrefix("peer"),
    outboxOfAll: keys.outboxPrefix(),
    ownCard: keys.ownCardKey,
    peerCard: keys.peerCardKey("peer"),
    peerCardPrefix: keys.peerCardPrefix,
    meta: keys.metaKey("name"),
    format: [keys.formatKey, keys.FORMAT_VERSION],
    head: keys.headKey(keys.taskKey("id")),
    chunk: keys.chunkKey("value", 3),
    chunkPrefix: keys.chunkPrefix("value"),
    garbage: keys.garbageKey("commit"),
    garbagePrefix: keys.garbagePrefix,
  }, {
    task: ["task", "id"],
    taskPrefix: ["task"],
    taskByTime: ["task_by_time", 1_700_000_000_000, "id"],
    taskByTimePrefix: ["task_by_time"],
    openTask: ["open_task", "id"],
    openTaskPrefix: ["open_task"],
    outbox: ["outbox", "peer", 7],
    outboxOfPeer: ["outbox", "peer"],
    outboxOfAll: ["outbox"],
    ownCard: ["card", "own"],
    peerCard: ["card", "peer", "peer"],
    peerCardPrefix: ["card", "peer"],
    meta: ["meta", "name"],
    format: [["format"], 1],
    head: ["head", "task", "id"],
    chunk: ["chunk", "value", 3],
    chunkPrefix: ["chunk", "value"],
    garbage: ["garbage", "commit"],
    garbagePrefix: ["garbage"],
  });
});

Deno.test("encodeKey() gives bytes that sort like the key when parts are strings and numbers", () => {
  const hex = (text: string) =>
    Array.from(text, (c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("");
  assert.equal(
    hex(encodeKey(["a\0\x01é", 1, -1])),
    "02" + "61" + "0101" + "0102" + "c3a9" + "00" + "21bff0000000000000" + "21400fffffffffffff",
  );
  assert.equal(encodeKey([]), "");
});
