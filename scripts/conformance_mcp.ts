/**
 * The official MCP conformance suite over the server core of the product, for each revision a table of scenarios. Exits with 1
 * when a required scenario fails.
 *
 * @module
 */
import { findSuite, REVISIONS, type ScenarioResult } from "../tests/mcp/conformance/suite.ts";

function printTable(revision: string, results: readonly ScenarioResult[]): boolean {
  const required = results.filter((result) => result.required);
  const isGood = ({ passed, failed }: ScenarioResult) => failed === 0 && passed > 0;
  const row = (result: ScenarioResult) =>
    `| ${result.name} | ${result.passed} | ${result.failed} | ${
      result.required ? "required" : "not scored"
    } |`;
  console.log(
    `\n## ${revision}: ${required.filter(isGood).length} of ${required.length} required scenarios\n`,
  );
  console.log(`| scenario | passed | failed | |\n| --- | --- | --- | --- |\n${results.map(row).join("\n")}`);
  return required.length > 0 && required.every(isGood);
}

if (import.meta.main) {
  const suite = await findSuite();
  if ("missing" in suite) {
    console.error(`The suite cannot run: ${suite.missing}`);
    Deno.exit(1);
  }
  let isGood = true;
  for (const revision of REVISIONS) isGood = printTable(revision, await suite.run(revision)) && isGood;
  Deno.exit(isGood ? 0 : 1);
}
