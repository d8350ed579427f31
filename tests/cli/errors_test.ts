import { deepEqual, equal, match, ok } from "node:assert/strict";
import { reportError } from "../../cli/errors.ts";
import { EXIT_CODE_OF } from "../../cli/exit_codes.ts";
import { Output } from "../../cli/output.ts";
import { CodedError, ERROR_CODES } from "../../core/errors.ts";
import { memorySink, runInProcess } from "./cli_harness.ts";

function report(error: unknown, options: { json?: boolean; verbose?: boolean; interrupted?: boolean } = {}) {
  const stdout = memorySink();
  const stderr = memorySink();
  const flags = { json: false, verbose: false, interrupted: false, ...options };
  const code = reportError(error, new Output({ stdout, stderr }), flags);
  equal(stdout.text, "");
  return { code, stderr: stderr.text };
}

for (const code of ERROR_CODES) {
  Deno.test(`reportError() exits with a documented code other than 0 when the error is ${code}`, async () => {
    const exitCode = report(new CodedError(code, "why")).code;
    equal(exitCode, EXIT_CODE_OF[code]);
    ok(exitCode > 0);
    match((await runInProcess(["help", "exit-codes"])).stdout, new RegExp(`^ +${exitCode}  \\w`, "m"));
  });
}

Deno.test("reportError() tells a coded error in its words, line by line and harmless", () => {
  const { code, stderr } = report(new CodedError("not_found", "No task:\n  - \x1b[31mx"));
  equal(code, 5);
  equal(stderr, "agentanycast: No task:\n  - \\x1b[31mx\n");
});

Deno.test("reportError() shows no stack unless asked to", () => {
  const error = new Error("broken", { cause: new Error("because") });
  const short = report(error);
  equal(short.code, 1);
  equal(short.stderr, "agentanycast: broken\nRun with -v for the stack.\n");
  const long = report(error, { verbose: true });
  match(long.stderr, /errors_test\.ts/);
  match(long.stderr, /caused by: Error: because/);
});

Deno.test("reportError() tells code and message as JSON", () => {
  deepEqual(JSON.parse(report(new CodedError("unavailable", "gone"), { json: true }).stderr), {
    error: { code: "unavailable", message: "gone" },
  });
  equal(JSON.parse(report("text", { json: true }).stderr).error.code, "internal");
});

Deno.test("reportError() is quiet when the reader has gone or the user has ended it", () => {
  deepEqual(report(new Deno.errors.BrokenPipe("x")), { code: 0, stderr: "" });
  deepEqual(report(new CodedError("cancelled", "x"), { interrupted: true }), { code: 130, stderr: "" });
  deepEqual(report(new DOMException("x", "AbortError"), { interrupted: true }), { code: 130, stderr: "" });
});

Deno.test("reportError() still tells what went wrong besides an interruption", () => {
  equal(report(new CodedError("data_loss", "x"), { interrupted: true }).code, 10);
});
