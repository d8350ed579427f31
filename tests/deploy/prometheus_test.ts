// A real Prometheus that scrapes a real daemon with the configuration that is shipped.
import assert from "node:assert/strict";
import { freePort } from "../support/free_port.ts";
import { untilHolds, within } from "../support/patience.ts";
import { tempDir } from "../support/temp_dir.ts";
import { startTestDaemon } from "../support/test_daemon.ts";
import { hasProgram } from "./has_program.ts";

const SHIPPED = new URL("../../deploy/prometheus/", import.meta.url);

/** The values that a query finds, by the name of the metric. */
async function query(base: string, expression: string): Promise<Map<string, string>> {
  const response = await fetch(`${base}/api/v1/query?query=${encodeURIComponent(expression)}`);
  const { data } = await response.json() as {
    data: { result: { metric: Record<string, string>; value: [number, string] }[] };
  };
  return new Map(data.result.map(({ metric, value }) => [metric.__name__ ?? "", value[1]]));
}

/** Resolves with the lines of a stream up to the first that matches. */
async function untilLine(stream: ReadableStream<Uint8Array>, pattern: RegExp): Promise<string> {
  let text = "";
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  while (true) {
    const { value, done } = await within(`${pattern} after\n${text}`, reader.read());
    if (done) throw new Error(`Prometheus ended:\n${text}`);
    text += value;
    if (!pattern.test(text)) continue;
    reader.releaseLock();
    return text;
  }
}

Deno.test({
  name: "Prometheus scrapes a daemon and loads the alerts",
  ignore: !await hasProgram("prometheus"),
  // The rest of what it says is not read.
  sanitizeResources: false,
  async fn() {
    await using dir = await tempDir();
    const metrics = `127.0.0.1:${freePort()}`;
    await using net = await startTestDaemon({ flags: { "metrics-listen": metrics } });
    assert.ok(net.daemon.peerId);
    const config = (await Deno.readTextFile(new URL("prometheus.yml", SHIPPED)))
      .replaceAll("127.0.0.1:9090", metrics).replace(
        "scrape_interval: 15s",
        "scrape_interval: 100ms",
      );
    await Deno.writeTextFile(`${dir.path}/prometheus.yml`, config);
    await Deno.copyFile(new URL("alerts.yml", SHIPPED), `${dir.path}/alerts.yml`);
    const own = `127.0.0.1:${freePort()}`;
    const base = `http://${own}`;
    const child = new Deno.Command("prometheus", {
      args: [
        `--config.file=${dir.path}/prometheus.yml`,
        `--storage.tsdb.path=${dir.path}/data`,
        `--web.listen-address=${own}`,
        "--log.format=json",
      ],
      stdout: "null",
      stderr: "piped",
    }).spawn();
    try {
      await untilLine(child.stderr, /Server is ready to receive web requests/);
      let found = new Map<string, string>();
      await untilHolds(async () => {
        found = await query(base, '{__name__=~"up|agentanycast_.*",job="agentanycast"}');
        return found.has("agentanycast_build_info");
      });
      assert.equal(found.get("up"), "1");
      assert.equal(found.get("agentanycast_connected_peers"), "0");
      const rules = await (await fetch(`${base}/api/v1/rules`)).json();
      assert.ok(rules.data.groups[0].rules.length >= 7);
      assert.ok(rules.data.groups[0].rules.every(({ health }: { health: string }) => health !== "err"));
    } finally {
      child.kill("SIGTERM");
      await child.status;
    }
  },
});
