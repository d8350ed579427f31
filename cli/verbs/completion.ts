import { createCompletion, type Shell } from "../completion.ts";
import { EXIT_OK } from "../exit_codes.ts";
import type { VerbContext } from "../verb.ts";

/** Prints the completion script of a shell. */
export function run({ args, output, program }: VerbContext): Promise<number> {
  output.print(createCompletion(args[0] as Shell, program)); // the parser lets only these through
  return Promise.resolve(EXIT_OK);
}
