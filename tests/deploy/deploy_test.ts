import assert from "node:assert/strict";
import { hasProgram } from "./has_program.ts";
import { NODE_METRICS } from "../../core/node_metrics.ts";

const DEPLOY = new URL("../../deploy/", import.meta.url);

/** The metrics of ours that a query names. */
function metricsOf(query: string): string[] {
  return [...query.matchAll(/\bagentanycast_(?!relay_)[a-z_]+/g)].map(([name]) => name);
}

/** Every name that a scrape of a node has. */
function exportedNames(): Set<string> {
  return new Set(
    Object.entries(NODE_METRICS).flatMap(([name, { type }]) =>
      (type === "histogram" ? ["_bucket", "_sum", "_count"] : [""]).map((suffix) =>
        `agentanycast_${name}${suffix}`
      )
    ),
  );
}

Deno.test("the dashboard shows metrics that exist, and all that the node counts", async () => {
  const text = await Deno.readTextFile(new URL("grafana/node.json", DEPLOY));
  const { panels, templating } = JSON.parse(text) as {
    panels: { title: string; targets: { expr: string }[] }[];
    templating: { list: { name: string }[] };
  };
  const exported = exportedNames();
  const shown = panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => metricsOf(expr)));
  for (const name of shown) assert.ok(exported.has(name), name);
  assert.ok(shown.length > 15);
  assert.deepEqual(templating.list.map(({ name }) => name), ["datasource", "instance"]);
});

Deno.test("the alerts name metrics that exist", async () => {
  const rules = await Deno.readTextFile(new URL("prometheus/alerts.yml", DEPLOY));
  const exported = exportedNames();
  const named = metricsOf(rules);
  for (const name of named) assert.ok(exported.has(name), name);
  assert.ok(named.length >= 6);
});

const promtool = await hasProgram("promtool");

Deno.test({
  name: "promtool finds nothing wrong with the rules and the configuration",
  ignore: !promtool,
  async fn() {
    for (const [kind, file] of [["rules", "alerts.yml"], ["config", "prometheus.yml"]] as const) {
      const path = new URL(`prometheus/${file}`, DEPLOY).pathname;
      const { success, stderr } = await new Deno.Command("promtool", { args: ["check", kind, path] })
        .output();
      assert.ok(success, new TextDecoder().decode(stderr));
    }
  },
});
