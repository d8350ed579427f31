import { EXIT_OK } from "../exit_codes.ts";
import { toColumns, visible } from "../output.ts";
import { askRelay, type RelayApiOptions } from "../relay_api.ts";
import type { VerbContext } from "../verb.ts";

interface Skills {
  readonly skills: readonly {
    readonly id: string;
    readonly description: string;
    readonly agent_count: number;
  }[];
}

/** Lists the skills that agents offer at a relay. */
export async function run({ options, output, signal }: VerbContext<RelayApiOptions>): Promise<number> {
  const answer = await askRelay("/api/v1/skills", options, signal) as Skills;
  output.result(
    answer,
    () =>
      answer.skills.length === 0
        ? ["No agent offers anything here."]
        : toColumns(answer.skills.map(({ id, agent_count, description }) => [
          visible(id),
          String(agent_count),
          visible(description),
        ])),
  );
  return EXIT_OK;
}
