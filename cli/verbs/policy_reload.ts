import { EXIT_OK } from "../exit_codes.ts";
import { requireDaemon } from "../session.ts";
import type { VerbContext } from "../verb.ts";

/** Makes the running daemon read its policy again. */
export async function run({ output, loadConfig }: VerbContext): Promise<number> {
  const config = loadConfig();
  await using session = await requireDaemon(config);
  await session.node.reloadDaemon();
  output.result(
    { reloaded: true, config: config.configPath },
    () => [`The policy of ${config.configPath} is in force.`],
  );
  return EXIT_OK;
}
