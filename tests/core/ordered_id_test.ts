import assert from "node:assert/strict";
import { orderedId } from "../../core/ordered_id.ts";

Deno.test("orderedId() makes UUIDs of version 7 with the time in front", () => {
  assert.match(
    orderedId(0x0123_4567_89ab),
    /^01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
});

Deno.test("orderedId() makes ids that differ, and sort by their time", () => {
  const ids = Array.from({ length: 1_000 }, (_, index) => orderedId(1_700_000_000_000 + index));
  assert.deepEqual(ids.toSorted(), ids);
  assert.equal(new Set(Array.from({ length: 1_000 }, () => orderedId(0))).size, 1_000);
});
