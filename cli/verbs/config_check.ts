import { resolve } from "node:path";
import { EXIT_OK } from "../exit_codes.ts";
import { resolveOptions } from "../settings.ts";
import type { VerbContext } from "../verb.ts";

/** Reads the configuration; the problems found are the error. */
export function run({ args: [file], options, output }: VerbContext): Promise<number> {
  const given = file === undefined ? options : { ...options, config: resolve(file) };
  const { config } = resolveOptions(given);
  output.result({ ok: true, config: config.configPath }, () => [`${config.configPath}: no problem found`]);
  return Promise.resolve(EXIT_OK);
}
