import { findNpmProgram } from "../../interop/npm_program.ts";
import { RunningFixture } from "./running_fixture.ts";

const PACKAGE = "@modelcontextprotocol/conformance";
const VERSION = "0.2.0-alpha.12";

/** Revisions of the protocol that the suite has a frozen set of required scenarios for. */
export const REVISIONS = ["2025-11-25", "2026-07-28"] as const;
export type Revision = (typeof REVISIONS)[number];

/** What became of a scenario. */
export interface ScenarioResult {
  readonly name: string;
  readonly passed: number;
  readonly failed: number;
  /** Whether the revision requires it. */
  readonly required: boolean;
}

/** The suite, ready to run; or why it cannot be. */
export type Suite = { readonly run: (revision: Revision) => Promise<ScenarioResult[]> } | {
  readonly missing: string;
};

/** The official conformance suite over the fixture server; got from npm once and kept in the user's cache. */
export async function findSuite(): Promise<Suite> {
  const found = await findNpmProgram(PACKAGE, VERSION, "dist/index.js");
  if ("missing" in found) return found;
  return { run: (revision) => runSuite(found.command, revision) };
}

async function runSuite(command: readonly string[], revision: Revision): Promise<ScenarioResult[]> {
  await using fixture = await RunningFixture.start();
  const folder = await Deno.makeTempDir({ prefix: "mcp-conformance-" });
  try {
    const [file = "", ...args] = command;
    const { stdout } = await new Deno.Command(file, {
      args: [...args, "server", "--url", fixture.url, "--requirements", revision, "-o", folder],
    }).output();
    return parseSummary(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The results in what the suite prints. */
function parseSummary(text: string): ScenarioResult[] {
  const [, summary = ""] = text.split("=== SUMMARY ===");
  const [scored = "", unscored = ""] = summary.split(/^Not scored/m);
  const extra = new Set([...unscored.matchAll(/^ +[✓✗] (\S+) \(/gm)].map(([, name]) => name));
  return [...scored.matchAll(/^[✓✗] (\S+): (\d+) passed, (\d+) failed/gm)].map((
    [, name = "", passed, failed],
  ) => ({
    name,
    passed: Number(passed),
    failed: Number(failed),
    required: !extra.has(name),
  }));
}
