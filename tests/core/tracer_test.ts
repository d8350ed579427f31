import assert from "node:assert/strict";
import { parseTraceParent, silentTracer, toTraceParent, traced } from "../../core/tracer.ts";

const PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

Deno.test("parseTraceParent() reads what toTraceParent() writes, and refuses what is none", () => {
  const parsed = parseTraceParent(PARENT);
  assert.deepEqual(parsed, {
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    sampled: true,
  });
  assert.equal(parsed && toTraceParent(parsed), PARENT);
  assert.equal(parseTraceParent(`${PARENT.slice(0, -2)}00`)?.sampled, false);
  for (
    const bad of [
      "",
      "x",
      PARENT.toUpperCase(),
      `ff${PARENT.slice(2)}`,
      PARENT.replace("b7ad6b7169203331", "0".repeat(16)),
    ]
  ) {
    assert.equal(parseTraceParent(bad), undefined, bad);
  }
});

Deno.test("traced() passes a trace through when nobody is told", async () => {
  const context = { traceParent: PARENT, traceState: "a=b" };
  assert.equal(
    await traced(silentTracer.start("x", { parent: context }), (inner) => Promise.resolve(inner)),
    context,
  );
  await assert.rejects(traced(silentTracer.start("x"), () => Promise.reject(new Error("no"))), /no/);
});
