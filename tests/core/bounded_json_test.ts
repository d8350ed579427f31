import assert from "node:assert/strict";
import { parseBoundedJson } from "../../core/bounded_json.ts";

for (
  const value of [
    null,
    'a "quoted" text with \\ and [[[ and ,,,',
    { a: [1, 2, { "b,[": ["\\", '\\"', ""] }] },
    Array.from({ length: 99_999 }, () => 0),
  ]
) {
  const text = JSON.stringify(value);
  Deno.test(`parseBoundedJson() reads ${text.slice(0, 40)} as JSON.parse() does`, () => {
    assert.deepEqual(parseBoundedJson(text), value);
  });
}

for (const text of ["", "{", '"', '{"a": "b', '"\\"', "[1,]"]) {
  Deno.test(`parseBoundedJson() says that ${JSON.stringify(text)} is not JSON`, () => {
    assert.throws(() => parseBoundedJson(text), SyntaxError);
  });
}

Deno.test("parseBoundedJson() refuses what is too much before it is made", () => {
  assert.throws(() => parseBoundedJson(`[${"{},".repeat(100_000)}{}]`), /more than 100000 values/);
  assert.throws(() => parseBoundedJson("[".repeat(20_000_000)), /more than 100 deep/);
  assert.throws(() => parseBoundedJson('{"a":'.repeat(101)), /more than 100 deep/);
  assert.ok(Array.isArray(parseBoundedJson(`${"[".repeat(100)}${"]".repeat(100)}`)));
});
