import assert from "node:assert/strict";
import type { Metrics } from "../../core/meter.ts";
import { loadPrometheus } from "../../http/mod.ts";

const METRICS = {
  calls_total: { type: "counter", help: "Calls", labels: ["outcome"] },
  waiting: { type: "gauge", help: "Who waits", labels: [] },
  call_seconds: { type: "histogram", help: "Time of calls, in seconds", labels: [], buckets: [0.1, 1] },
} as const satisfies Metrics;

Deno.test("createPrometheus() counts, times and reads gauges when somebody looks", async () => {
  const { createPrometheus } = await loadPrometheus();
  const { meter, render } = createPrometheus(METRICS, { prefix: "test_" });
  let waiting = 3;
  meter.gauge("waiting", () => [[{}, waiting]]);
  meter.count("calls_total", { outcome: "ok" });
  meter.count("calls_total", { outcome: "ok" }, 2);
  meter.observe("call_seconds", {}, 0.5);
  const { body, contentType } = await render("");
  assert.match(contentType, /^text\/plain; version=0\.0\.4/);
  assert.match(body, /^test_calls_total\{outcome="ok"\} 3$/m);
  assert.match(body, /^test_waiting 3$/m);
  assert.match(body, /^test_call_seconds_bucket\{le="1"\} 1$/m);
  waiting = 0;
  assert.match((await render("")).body, /^test_waiting 0$/m);
});

Deno.test("createPrometheus() answers OpenMetrics to who asks for it, each in its own format at once", async () => {
  const { createPrometheus } = await loadPrometheus();
  const { meter, render } = createPrometheus(METRICS, { prefix: "test_" });
  meter.count("calls_total", { outcome: "ok" });
  const [open, plain] = await Promise.all([
    render("application/openmetrics-text; version=1.0.0"),
    render("*/*"),
  ]);
  assert.match(open.contentType, /^application\/openmetrics-text/);
  assert.match(open.body, /^# TYPE test_calls counter$/m);
  assert.match(open.body, /# EOF\n$/);
  assert.doesNotMatch(plain.body, /# EOF/);
});
