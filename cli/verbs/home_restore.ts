import { resolve } from "node:path";
import { EXIT_OK } from "../exit_codes.ts";
import type { VerbContext } from "../verb.ts";

/** Makes a home from a backup. */
export async function run({ args: [folder = ""], output, loadConfig }: VerbContext): Promise<number> {
  const { restoreHome } = await import("../../daemon/mod.ts");
  const { home } = loadConfig();
  const result = await restoreHome(loadConfig(), resolve(folder));
  output.result(result, () => [
    `Restored ${result.peerId} in ${home}: start it with \`agentanycast daemon --home ${home}\``,
  ]);
  return EXIT_OK;
}
