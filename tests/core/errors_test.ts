import assert from "node:assert/strict";
import { CodedError, ERROR_CODES, errorMessage, toCodedError } from "../../core/errors.ts";

Deno.test("CodedError carries its code, details and cause", () => {
  const cause = new Error("disk");
  const error = new CodedError("data_loss", "Cannot read: torn", { cause, details: { key: "a" } });
  assert(error instanceof Error);
  assert.deepEqual([error.name, error.code, error.message], ["CodedError", "data_loss", "Cannot read: torn"]);
  assert.equal(error.cause, cause);
  assert.deepEqual(error.details, { key: "a" });
});

Deno.test("CodedError has no cause and no details when none are given", () => {
  const error = new CodedError("not_found", "No such task");
  assert.equal("cause" in error, false);
  assert.deepEqual(error.details, {});
});

Deno.test("ERROR_CODES are the sixteen failures of gRPC in the order of their numbers", () => {
  assert.equal(ERROR_CODES.length, 16);
  assert.equal(ERROR_CODES.indexOf("not_found") + 1, 5);
  assert.equal(ERROR_CODES.indexOf("unavailable") + 1, 14);
});

Deno.test("errorMessage() takes anything that was thrown", () => {
  assert.equal(errorMessage(new TypeError("bad")), "bad");
  assert.equal(errorMessage("text"), "text");
  assert.equal(errorMessage(undefined), "undefined");
});

Deno.test("toCodedError() keeps a coded error as it is", () => {
  const error = new CodedError("aborted", "Lost the race");
  assert.equal(toCodedError(error), error);
});

Deno.test("toCodedError() tells an abort from a deadline", () => {
  assert.equal(toCodedError(AbortSignal.abort().reason).code, "cancelled");
  assert.equal(toCodedError(new DOMException("slow", "TimeoutError")).code, "deadline_exceeded");
});

Deno.test("toCodedError() hides what an unknown error says but keeps it as the cause", () => {
  const secret = new Error("password=hunter2");
  const error = toCodedError(secret);
  assert.equal(error.code, "internal");
  assert(!error.message.includes("hunter2"));
  assert.equal(error.cause, secret);
});
