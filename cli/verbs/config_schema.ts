import { DAEMON_SETTINGS } from "../../core/config.ts";
import { toJsonSchema } from "../../core/config_file.ts";
import { namedSettings } from "../../core/resolve_settings.ts";
import { EXIT_OK } from "../exit_codes.ts";
import type { VerbContext } from "../verb.ts";

/** Prints the schema. */
export function run({ output }: VerbContext): Promise<number> {
  const paths = { home: "~/.agentanycast", userHome: "~" };
  output.print(JSON.stringify(toJsonSchema(namedSettings(DAEMON_SETTINGS), paths), undefined, 2));
  return Promise.resolve(EXIT_OK);
}
