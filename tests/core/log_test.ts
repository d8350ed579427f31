import assert from "node:assert/strict";
import { CodedError } from "../../core/errors.ts";
import { createLogger, type LoggerOptions, printable } from "../../core/log.ts";

function capture(options: Omit<LoggerOptions, "write"> = {}) {
  const lines: string[] = [];
  return { lines, log: createLogger({ now: () => 0, write: (line) => lines.push(line), ...options }) };
}

Deno.test("createLogger() writes text with time, level, message and fields", () => {
  const { lines, log } = capture();
  log.info("Task sent", { taskId: "t1", attempt: 2, note: "two words", gone: undefined });
  assert.deepEqual(lines, ['1970-01-01T00:00:00.000Z INFO  Task sent taskId=t1 attempt=2 note="two words"']);
});

Deno.test("createLogger() writes one JSON object per line when asked to", () => {
  const { lines, log } = capture({ format: "json" });
  log.warn("Slow", { count: 5n, error: new CodedError("unavailable", "No route") });
  assert.deepEqual(lines.map((line) => JSON.parse(line)), [{
    time: "1970-01-01T00:00:00.000Z",
    level: "warn",
    msg: "Slow",
    count: "5",
    error: "unavailable: No route",
  }]);
});

Deno.test("createLogger() leaves out lines below its level", () => {
  const { lines, log } = capture({ level: "warn" });
  log.debug("a");
  log.info("b");
  log.warn("c");
  log.error("d");
  assert.deepEqual(lines.map((line) => line.at(-1)), ["c", "d"]);
});

Deno.test("child() adds its fields to each line and lets a line override them", () => {
  const { lines, log } = capture();
  const child = log.child({ room: "p2p", peer: "a" });
  child.child({ task: "t" }).info("x", { peer: "b" });
  log.info("y");
  assert.match(lines[0]!, / x room=p2p peer=b task=t$/);
  assert.match(lines[1]!, / y$/);
});

Deno.test("createLogger() writes the cause of an error, in both formats", () => {
  const error = new Error("outer", { cause: new CodedError("data_loss", "inner") });
  for (const format of ["text", "json"] as const) {
    const { lines, log } = capture({ format });
    log.error("Failed", { error });
    assert(lines[0]!.includes("outer (cause: data_loss: inner)"), String(lines[0]));
  }
});

Deno.test("createLogger() lets no text forge a second line or a terminal command", () => {
  const forged = "hi\n1970-01-01T00:00:00.000Z ERROR Disk gone\u001b[2J\u009b";
  const fields = { name: forged, bare: "a\u001bb", error: new Error(forged), nested: { forged } };
  for (const format of ["text", "json"] as const) {
    const { lines, log } = capture({ format });
    log.info(forged, fields);
    assert.equal(lines.length, 1);
    assert(!lines[0]!.includes("\n") && !lines[0]!.includes("\u001b"));
  }
});

Deno.test("printable() shows control characters and leaves all other text alone", () => {
  assert.equal(printable("a\tb\r\n\u001b\u007f\u0085"), "a\\x09b\\x0d\\x0a\\x1b\\x7f\\x85");
  assert.equal(printable("Grüße 你好 🙂"), "Grüße 你好 🙂");
});
