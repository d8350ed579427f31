import assert from "node:assert/strict";
import { parseCounts, parsePositive, pickNamed, UsageError } from "../../bench/arguments.ts";

Deno.test("parsePositive() takes positive numbers only", () => {
  assert.equal(parsePositive("--seconds", "0.5"), 0.5);
  for (const text of ["", "0", "-1", "x", "Infinity"]) {
    assert.throws(() => parsePositive("--seconds", text), UsageError, text);
  }
});

Deno.test("parseCounts() gives whole numbers in order, each once", () => {
  assert.deepEqual(parseCounts("--in-flight", "64,1,16,1"), [1, 16, 64]);
  assert.deepEqual(parseCounts("--tasks", "0", { min: 0 }), [0]);
  for (const text of ["", "1,", "0", "1.5", "a"]) {
    assert.throws(() => parseCounts("--in-flight", text), UsageError, text);
  }
});

Deno.test("pickNamed() keeps the order of the entries and refuses names it does not know", () => {
  const entries = [{ name: "a" }, { name: "b" }, { name: "c" }];
  assert.equal(pickNamed(entries, undefined), entries);
  assert.deepEqual(pickNamed(entries, "c, a"), [{ name: "a" }, { name: "c" }]);
  assert.throws(() => pickNamed(entries, "a,d"), { name: "UsageError", message: /knows a, b, c, got d$/ });
});
