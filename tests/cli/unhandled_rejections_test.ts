import { deepEqual, equal } from "node:assert/strict";
import { logUnhandledRejections } from "../../cli/unhandled_rejections.ts";
import { createLogger } from "../../core/log.ts";

function reject(reason: unknown): boolean {
  const promise = Promise.resolve();
  const event = new PromiseRejectionEvent("unhandledrejection", { promise, reason, cancelable: true });
  return globalThis.dispatchEvent(event);
}

Deno.test("logUnhandledRejections() logs them and keeps the process, until it is disposed", () => {
  const lines: string[] = [];
  const logger = createLogger({ format: "json", write: (line) => lines.push(line) });
  {
    using _guard = logUnhandledRejections(logger);
    equal(reject(new Error("slip")), false);
    equal(reject(undefined), false);
  }
  deepEqual(lines.map((line) => JSON.parse(line).error), ["slip", undefined]);
  equal(reject(new Error("later")), true);
});
