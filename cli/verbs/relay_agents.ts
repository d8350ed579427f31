import { EXIT_OK } from "../exit_codes.ts";
import { toColumns, visible } from "../output.ts";
import { askRelay, type RelayApiOptions } from "../relay_api.ts";
import type { VerbContext } from "../verb.ts";

interface Options extends RelayApiOptions {
  readonly skill?: string;
  readonly text?: string;
  readonly limit: number;
}

interface Page {
  readonly total: number;
  readonly agents: readonly {
    readonly peer_id: string;
    readonly name: string;
    readonly verified: boolean;
    readonly skills: readonly { readonly id: string }[];
    readonly last_seen_at: string;
  }[];
}

/** Lists the agents that a relay knows. */
export async function run({ options, output, signal }: VerbContext<Options>): Promise<number> {
  const { skill, text, limit } = options;
  const query = new URLSearchParams({ limit: String(limit), ...skill && { skill }, ...text && { q: text } });
  const page = await askRelay(`/api/v1/agents?${query}`, options, signal) as Page;
  output.result(page, () => [
    ...toColumns(page.agents.map(({ peer_id, name, verified, skills, last_seen_at }) => [
      visible(peer_id),
      visible(name),
      verified ? "signed" : "unsigned",
      visible(last_seen_at),
      visible(skills.map(({ id }) => id).join(", ")),
    ])),
    `${page.agents.length} of ${page.total} agents`,
  ]);
  return EXIT_OK;
}
