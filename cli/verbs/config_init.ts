import { dirname, resolve } from "node:path";
import { DAEMON_SETTINGS } from "../../core/config.ts";
import { toAnnotatedToml } from "../../core/config_file.ts";
import { CodedError } from "../../core/errors.ts";
import { namedSettings } from "../../core/resolve_settings.ts";
import { EXIT_OK } from "../exit_codes.ts";
import type { VerbContext } from "../verb.ts";

/** Writes an annotated configuration file that only its owner can read. */
export async function run({ args: [file], output, loadConfig }: VerbContext): Promise<number> {
  const { home, configPath } = loadConfig();
  const text = toAnnotatedToml(namedSettings(DAEMON_SETTINGS), { home, userHome: dirname(home) });
  if (file === "-") {
    output.print(text.trimEnd());
    return EXIT_OK;
  }
  const path = file === undefined ? configPath : resolve(file);
  await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    await Deno.writeTextFile(path, text, { createNew: true, mode: 0o600 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    throw new CodedError(
      "already_exists",
      `Cannot write ${path}: it is there already; name another file, or - for stdout`,
    );
  }
  output.result({ config: path }, () => [`Wrote ${path}`]);
  return EXIT_OK;
}
