import { deepEqual, equal, throws } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Output, toColumns, toFacts, visible, visibleLines } from "../../cli/output.ts";
import { memorySink, runInProcess } from "./cli_harness.ts";

const ESC = "\x1b";

function brokenSink() {
  return {
    isTerminal: false,
    write: () => {
      throw new Deno.errors.BrokenPipe("gone");
    },
  };
}

Deno.test("visible() shows what a terminal would obey or hide", () => {
  equal(visible(`a${ESC}[31mb\r\n\x9b`), "a\\x1b[31mb\\x0d\\x0a\\x9b");
  equal(visible("evil\u202etxt.exe\u200b"), "evil\\u202etxt.exe\\u200b");
  equal(visible("plain Ünïcode 🎉"), "plain Ünïcode 🎉");
});

Deno.test("visibleLines() keeps line breaks and tabs", () => {
  deepEqual(visibleLines(`a\tb\r\nc${ESC}]0;title\x07`), ["a\tb", "c\\x1b]0;title\\x07"]);
});

Deno.test("Output.result() prints lines, or JSON with bytes as base64", () => {
  const stdout = memorySink();
  const value = { raw: new Uint8Array([1, 2]), buffer: Buffer.from([3]), at: new Date(0) };
  new Output({ stdout, stderr: memorySink() }).result(value, () => ["one", "two"]);
  equal(stdout.text, "one\ntwo\n");
  stdout.text = "";
  new Output({ stdout, stderr: memorySink() }, { json: true }).result(value, () => ["one"]);
  deepEqual(JSON.parse(stdout.text), { raw: "AQI=", buffer: "Aw==", at: "1970-01-01T00:00:00.000Z" });
});

Deno.test("Output.style() colours only on a terminal where colours are wanted", () => {
  const styled = (isTerminal: boolean, colors: boolean) =>
    new Output({ stdout: memorySink(isTerminal), stderr: memorySink() }, { colors }).style("red", "x");
  equal(styled(true, true), `${ESC}[31mx${ESC}[39m`);
  equal(styled(true, false), "x");
  equal(styled(false, true), "x");
});

Deno.test("Output.print() throws BrokenPipe and note() does not when nobody reads", () => {
  const output = new Output({ stdout: brokenSink(), stderr: brokenSink() });
  throws(() => output.print("x"), Deno.errors.BrokenPipe);
  output.note("x");
});

Deno.test("runCli() colours its name on a terminal and makes a peer's text visible", async () => {
  const { stderr } = await runInProcess(["connect", `${ESC}[2Jevil`], { terminal: true });
  equal(stderr.startsWith(`${ESC}[31magentanycast:${ESC}[39m `), true, stderr);
  equal(stderr.includes(`${ESC}[2J`), false);
});

Deno.test("toColumns() and toFacts() align and leave out what is missing", () => {
  deepEqual(toColumns([["a", "b"], ["long", ""]]), ["a     b", "long"]);
  deepEqual(toFacts({ A: "x", Long: 1, None: undefined, Empty: "" }), ["A:     x", "Long:  1"]);
});
