import { type Command, Option } from "commander";
import { parseSeconds } from "./arguments.ts";

/** The argument of verbs that are about a peer. */
export const TARGET = ["<target>", "peer id, did:key, or address ending in /p2p/<peer id>"] as const;

/** Said of verbs that need no running daemon. */
export const OWN_DAEMON =
  "Uses the daemon that runs on the home; without one, this call runs its own until it is done.";

/** Adds `--timeout`, in seconds on the command line and milliseconds in the options. */
export function addTimeout(command: Command): void {
  const option = new Option("--timeout <seconds>", "how long to wait").argParser(parseSeconds);
  command.addOption(option.default(30_000, "30"));
}

/** Adds `--output`. */
export function addOutput(command: Command): void {
  command.option("--output <folder>", "save files of the result there; nothing is overwritten");
}
