import { CodedError } from "../../core/errors.ts";
import type { DiscoveredAgent } from "../../sdk/mod.ts";
import { startDeadline } from "../deadline.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { toColumns, visible } from "../output.ts";
import { findWithPatience } from "../find_with_patience.ts";
import { openSession } from "../session.ts";
import type { VerbContext } from "../verb.ts";

export interface DiscoverOptions {
  readonly tag?: Readonly<Record<string, string>>;
  readonly prefix?: string;
  readonly text?: string;
  readonly limit: number;
  readonly timeout: number;
}

/** Lists agents by what they offer. */
export async function run(context: VerbContext<DiscoverOptions>): Promise<number> {
  const { args: [skill = ""], options, output, logger, signal } = context;
  const { tag: tags = {}, prefix = "", text = "", limit, timeout } = options;
  await using session = await openSession(context.loadConfig(), { logger, signal });
  using deadline = startDeadline(timeout, signal);
  const find = async () => {
    const found = await session.node.discover(skill, {
      ...{ tags, prefix, text, limit },
      signal: deadline.signal,
    });
    if (found.length > 0) return found;
    throw new CodedError("not_found", "No such agent was found, and everybody was asked");
  };
  const agents = await findWithPatience(session, find, { signal: deadline.signal });
  output.result(
    agents,
    () => toColumns([["PEER", "AGENT", "SKILLS", "PROVEN", "VIA"], ...agents.map(toRow)]),
  );
  return EXIT_OK;
}

function toRow({ peerId, agentName, skills, verified, via }: DiscoveredAgent): string[] {
  const said = skills.map(({ skillId, tags }) => {
    const labels = Object.entries(tags).map(([name, value]) => value === "" ? name : `${name}=${value}`);
    return labels.length === 0 ? skillId : `${skillId} [${labels.join(", ")}]`;
  });
  return [peerId, agentName, said.join(", "), verified ? "yes" : "no", via.join(", ")].map(visible);
}
