import type { Command } from "commander";
import { CodedError } from "../../core/errors.ts";
import { describeExitCodes, EXIT_OK } from "../exit_codes.ts";
import type { VerbContext } from "../verb.ts";

/** Prints the help of the program, of a verb, or the exit codes. */
export function run({ args, output, program }: VerbContext): Promise<number> {
  const words = args.filter((word) => word !== undefined);
  if (words[0] === "exit-codes") output.print(describeExitCodes());
  else words.reduce(find, program).outputHelp();
  return Promise.resolve(EXIT_OK);
}

function find(parent: Command, word: string): Command {
  const found = parent.commands.find((command) => command.name() === word);
  if (found !== undefined) return found;
  const known = parent.commands.map((command) => command.name()).join(", ");
  throw new CodedError("invalid_argument", `No help on "${word}": there is ${known || "nothing below it"}`);
}
