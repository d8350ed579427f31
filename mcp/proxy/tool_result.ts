import { fromMcpResult } from "../../sdk/compat/mod.ts";
import type { Artifact } from "../../sdk/mod.ts";

/** How long a reason for a failure may be, in characters. */
const MAX_REASON_LENGTH = 10_000;

/** What a tool answered as a result of a task, or why it failed in its own words. */
export function toOutcome(tool: string, result: unknown): { artifact: Artifact; failure?: string } {
  const { artifacts: [answer], error } = fromMcpResult(result);
  const parts = answer?.parts ?? [];
  const artifact = { name: tool, parts: parts.length > 0 ? parts : [{ text: "" }] };
  if (error === undefined) return { artifact };
  const reason = error.trim().slice(0, MAX_REASON_LENGTH);
  return { artifact, failure: reason || `The tool ${tool} failed without a reason` };
}
