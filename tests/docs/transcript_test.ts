import assert from "node:assert/strict";
import { Bindings, difference, readCommands } from "./transcript.ts";

const PEER_A = "12D3KooWHmitbwG5WQ5GCZxQ6omqpXMyR83P8yhwo6ev4BX6Mf8B";
const PEER_B = "12D3KooWKJkm1EBtCsfCy1GW7oa85jhWUcK8mc69YxxFvjVR9jBe";
const PEER_C = "12D3KooWGp9J6i2i4ybsYGoXMvUGgy9k4Szz65y6Rj7WBreDNmjk";

Deno.test("readCommands() finds commands, their further lines, and what is shown below each", () => {
  assert.deepEqual(readCommands(["$ one \\", "  --two", "out", "$ three"], 10), [
    { line: 10, text: "one \\\n  --two", shown: ["out"] },
    { line: 13, text: "three", shown: [] },
  ]);
  assert.throws(() => readCommands(["one"], 1), SyntaxError);
});

Deno.test("difference() finds none when only ids, ports, times and blanks are others", () => {
  const shown = [`PEER=${PEER_A}`, "/ip4/192.0.2.7/tcp/4001", "took 1.5 ms  at 2026-01-31T12:00:00.000Z"];
  const came = [`PEER=${PEER_B}`, "/ip4/127.0.0.1/tcp/38289", "took 3 s at 2027-02-01T00:00:00.123Z ", ""];
  assert.equal(difference(shown, came, new Bindings()), undefined);
});

Deno.test("difference() finds what is not as shown, what is missing, and what came besides", () => {
  const find = (shown: string[], came: string[]) => difference(shown, came, new Bindings())?.line;
  assert.equal(find(["a", "b"], ["a", "c"]), 1);
  assert.equal(find(["a", "b"], ["a"]), 1);
  assert.equal(find(["a"], ["a", "b"]), 1);
  assert.equal(find(["2 agents"], ["3 agents"]), 0);
  assert.equal(find([`PEER=${PEER_A}`], ["PEER=none"]), 0);
});

Deno.test("difference() takes any lines for a line of three dots, and any text for three dots in a line", () => {
  const bindings = new Bindings();
  assert.equal(difference(["a", "…", "d"], ["a", "b", "c", "d"], bindings), undefined);
  assert.equal(difference(["a", "…", "d"], ["a", "b", "c"], bindings)?.line, 2);
  assert.equal(difference(["x … z"], ["x y z"], bindings), undefined);
  assert.equal(difference(["x … z"], ["x y"], bindings)?.line, 0);
});

Deno.test("Bindings lets a name stand for the same thing from where it is first shown", () => {
  const bindings = new Bindings();
  assert.equal(difference([`PEER=${PEER_A} :4001`], [`PEER=${PEER_B} :38289`], bindings), undefined);
  assert.equal(bindings.apply(`send ${PEER_A} 127.0.0.1:4001`), `send ${PEER_B} 127.0.0.1:38289`);
  assert.equal(difference([`from ${PEER_A}`], [`from ${PEER_B}`], bindings), undefined);
  assert.equal(difference([`from ${PEER_A}`], [`from ${PEER_C}`], bindings)?.line, 0);
  assert.equal(difference([`${PEER_C} ${PEER_C}`], [`${PEER_A} ${PEER_B}`], new Bindings())?.line, 0);
});
