import assert from "node:assert/strict";
import { hasProgram } from "./has_program.ts";
import type { Metrics } from "../../core/meter.ts";
import { NODE_METRICS } from "../../core/node_metrics.ts";
import { RELAY_METRICS } from "../../relay/relay_metrics.ts";

const DEPLOY = new URL("../../deploy/", import.meta.url);

/** What is shipped for each program: its metrics, and how their names look in a query. */
const PROGRAMS: readonly {
  name: string;
  board: string;
  alerts: string;
  exported: Set<string>;
  named: RegExp;
}[] = [
  {
    name: "node",
    board: "grafana/node.json",
    alerts: "prometheus/alerts.yml",
    exported: exportedNames(NODE_METRICS, "agentanycast_"),
    named: /\bagentanycast_[a-z_]+/g,
  },
  {
    name: "relay",
    board: "grafana/relay.json",
    alerts: "prometheus/relay_alerts.yml",
    exported: exportedNames(RELAY_METRICS, ""),
    named: /\b(?:registry|federation|relay|rpc|connected|event|process)_[a-z_]+/g,
  },
];

/** Every name that a scrape has. */
function exportedNames(metrics: Metrics, prefix: string): Set<string> {
  return new Set(
    Object.entries(metrics).flatMap(([name, { type }]) =>
      (type === "histogram" ? ["_bucket", "_sum", "_count"] : [""]).map((suffix) =>
        `${prefix}${name}${suffix}`
      )
    ),
  );
}

/** Metrics that a text names. */
const namesIn = (text: string, named: RegExp) => [...text.matchAll(named)].map(([name]) => name);

for (const { name, board, alerts, exported, named } of PROGRAMS) {
  Deno.test(`the dashboard of a ${name} shows metrics that exist`, async () => {
    const text = await Deno.readTextFile(new URL(board, DEPLOY));
    const { panels, templating } = JSON.parse(text) as {
      panels: { title: string; targets: { expr: string }[] }[];
      templating: { list: { name: string; query: string | { query: string } }[] };
    };
    const shown = panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => namesIn(expr, named)));
    for (const metric of shown) assert.ok(exported.has(metric), metric);
    assert.ok(new Set(shown).size > 15);
    assert.deepEqual(templating.list.map(({ name }) => name), ["datasource", "instance"]);
  });

  Deno.test(`the alerts of a ${name} name metrics that exist`, async () => {
    const rules = await Deno.readTextFile(new URL(alerts, DEPLOY));
    const found = namesIn(rules, named);
    for (const metric of found) assert.ok(exported.has(metric), metric);
    assert.ok(new Set(found).size >= 5);
  });
}

Deno.test("the dashboard of a relay shows all that it counts", async () => {
  const text = await Deno.readTextFile(new URL("grafana/relay.json", DEPLOY));
  for (const name of Object.keys(RELAY_METRICS)) assert.ok(text.includes(name), name);
});

const promtool = await hasProgram("promtool");

Deno.test({
  name: "promtool finds nothing wrong with the rules and the configuration",
  ignore: !promtool,
  async fn() {
    const files = [["rules", "alerts.yml"], ["rules", "relay_alerts.yml"], [
      "config",
      "prometheus.yml",
    ]] as const;
    for (const [kind, file] of files) {
      const path = new URL(`prometheus/${file}`, DEPLOY).pathname;
      const { success, stderr } = await new Deno.Command("promtool", { args: ["check", kind, path] })
        .output();
      assert.ok(success, new TextDecoder().decode(stderr));
    }
  },
});
