import assert from "node:assert/strict";
import * as keys from "../../kv/keys.ts";
import { encodeKey } from "../../kv/limits.ts";

Deno.test("logical keys are those of the format on disk", () => {
  assert.deepEqual({
    task: keys.taskKey("id"),
    taskPrefix: keys.taskPrefix,
    taskByTime: keys.taskByTimeKey(1_700_000_000_000, "id"),
    taskByTimePrefix: keys.taskByTimePrefix,
    openTask: keys.openTaskKey(1_700_000_000_000, "id"),
    openTaskPrefix: keys.openTaskPrefix,
    removedTask: keys.removedTaskKey("id"),
    removedTaskPrefix: keys.removedTaskPrefix,
    damaged: keys.damagedKey(keys.taskKey("id")),
    outbox: keys.outboxKey("peer", 7),
    outboxOfLane: keys.outboxPrefix("peer"),
    outboxOfAll: keys.outboxPrefix(),
    peerAddress: keys.peerAddressKey("peer"),
    peerAddressPrefix: keys.peerAddressPrefix,
    ownCard: keys.ownCardKey,
    peerCard: keys.peerCardKey("peer"),
    peerCardPrefix: keys.peerCardPrefix,
    meta: keys.metaKey("name"),
  }, {
    task: ["task", "id"],
    taskPrefix: ["task"],
    taskByTime: ["task_by_time", 1_700_000_000_000, "id"],
    taskByTimePrefix: ["task_by_time"],
    openTask: ["open_task", 1_700_000_000_000, "id"],
    openTaskPrefix: ["open_task"],
    removedTask: ["removed_task", "id"],
    removedTaskPrefix: ["removed_task"],
    damaged: ["damaged", "task", "id"],
    outbox: ["outbox", "peer", 7],
    outboxOfLane: ["outbox", "peer"],
    outboxOfAll: ["outbox"],
    peerAddress: ["peer_address", "peer"],
    peerAddressPrefix: ["peer_address"],
    ownCard: ["card", "own"],
    peerCard: ["card", "peer", "peer"],
    peerCardPrefix: ["card", "peer"],
    meta: ["meta", "name"],
  });
});

Deno.test("physical keys are those of the format on disk", () => {
  assert.deepEqual({
    format: [keys.formatKey, keys.FORMAT_VERSION],
    head: keys.headKey(keys.taskKey("id")),
    headPrefix: keys.headPrefix,
    fromHead: keys.fromHeadKey(["head", "task", "id"]),
    large: keys.largeKey(keys.taskKey("id")),
    largePrefix: keys.largePrefix,
    chunk: keys.chunkKey("value", 3),
    chunkPrefix: keys.chunkPrefix("value"),
    garbage: keys.garbageKey("commit"),
    garbagePrefix: keys.garbagePrefix,
  }, {
    format: [["format"], 2],
    head: ["head", "task", "id"],
    headPrefix: ["head"],
    fromHead: ["task", "id"],
    large: ["large", "task", "id"],
    largePrefix: ["large"],
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
