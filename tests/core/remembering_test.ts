import assert from "node:assert/strict";
import { remembering } from "../../core/remembering.ts";

Deno.test("remembering() computes once what it remembers, and forgets the oldest", () => {
  const computed: string[] = [];
  const upper = remembering((text) => {
    computed.push(text);
    return text.toUpperCase();
  }, { max: 2 });
  assert.deepEqual(["a", "b", "a", "c", "b", "a"].map(upper), ["A", "B", "A", "C", "B", "A"]);
  assert.deepEqual(computed, ["a", "b", "c", "a"]);
});

Deno.test("remembering() does not remember what throws", () => {
  let calls = 0;
  const failing = remembering(() => {
    throw new Error(`call ${++calls}`);
  }, { max: 2 });
  assert.throws(() => failing("a"), /call 1/);
  assert.throws(() => failing("a"), /call 2/);
});
