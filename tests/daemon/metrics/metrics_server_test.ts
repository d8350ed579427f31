import assert from "node:assert/strict";
import { silentLogger } from "../../../core/log.ts";
import { openNodeMetrics, startMetricsServer } from "../../../daemon/metrics/mod.ts";

async function start(checks: Parameters<typeof startMetricsServer>[0]["checks"]) {
  const { prometheus, meter } = await openNodeMetrics({ enabled: true });
  assert.ok(prometheus);
  const server = await startMetricsServer(
    { prometheus, checks, startedAtMs: Date.now(), logger: silentLogger },
    { listen: "127.0.0.1:0" },
  );
  return { server, meter, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

Deno.test("startMetricsServer() tells the reasons why a node is not ready, and lives all the same", async () => {
  let fault: string | undefined = "no relay";
  await using net = await start({
    network: () => fault,
    store: () => {
      if (fault !== undefined) throw new Error("disk full");
      return undefined;
    },
  });
  const { url } = net.server;
  const bad = await fetch(`${url}/health`);
  assert.equal(bad.status, 503);
  const body = await bad.json();
  assert.equal(body.status, "unhealthy");
  assert.deepEqual(body.reasons, ["network: no relay", "store: disk full"]);
  const live = await fetch(`${url}/health/live`);
  assert.equal(live.status, 200);
  await live.body?.cancel();
  fault = undefined;
  const good = await fetch(`${url}/health/ready`);
  assert.equal(good.status, 200);
  assert.equal((await good.json()).status, "healthy");
});

Deno.test("startMetricsServer() serves metrics, and nothing else", async () => {
  await using net = await start({});
  net.meter.count("tasks_total", { direction: "sent", status: "completed" });
  const { url } = net.server;
  assert.match(
    await (await fetch(`${url}/metrics`)).text(),
    /^agentanycast_tasks_total\{direction="sent",status="completed"\} 1$/m,
  );
  for (const [path, init, status] of [["/", {}, 404], ["/metrics", { method: "POST" }, 405]] as const) {
    const response = await fetch(`${url}${path}`, init);
    assert.equal(response.status, status);
    await response.body?.cancel();
  }
});
