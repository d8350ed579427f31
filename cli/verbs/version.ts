import { VERSION } from "../../core/version.ts";
import { EXIT_OK } from "../exit_codes.ts";
import type { VerbContext } from "../verb.ts";

/** Prints name and version. */
export function run({ name, output }: VerbContext): Promise<number> {
  output.result({ name, version: VERSION }, () => [`${name} ${VERSION}`]);
  return Promise.resolve(EXIT_OK);
}
