import { Command } from "commander";
import { VERSION } from "../core/version.ts";
import { describeExitCodes } from "./exit_codes.ts";
import { addGlobalOptions } from "./settings.ts";
import type { ProgramName, Verb } from "./verb.ts";

/** What the command line does with what it finds. */
export interface CommandLineDeps {
  readonly name: ProgramName;
  readonly verbs: readonly Verb[];
  /** Called with the verb that was asked for. */
  readonly onVerb: (verb: Verb, found: FoundVerb) => Promise<void>;
  readonly writeOut: (text: string) => void;
  readonly writeError: (text: string) => void;
}

/** A verb's arguments and options as given. */
export interface FoundVerb {
  readonly args: readonly (string | undefined)[];
  readonly options: Readonly<Record<string, unknown>>;
  readonly program: Command;
}

/** Words that only group verbs. */
const GROUPS: Readonly<Record<string, string>> = {
  task: "look at tasks, answer, follow or cancel them",
  identity: "who this node is: show, back up or change its key",
  credential: "issue, verify and keep verifiable credentials",
  config: "write, check and look through the configuration",
  home: "back a home up, and restore it",
  policy: "try the policy out, or read it again",
  federation: "look at what relays share",
};

/** The parser of the whole command line. It throws commander's `CommanderError` for help, version and misuse. */
export function createCommandLine(deps: CommandLineDeps): Command {
  const program = new Command("agentanycast")
    .description("Peer-to-peer runtime for AI agents: find each other, exchange tasks, no server in between.")
    .version(`${deps.name} ${VERSION}`, "--version", "print the version")
    .helpOption("-h, --help", "explain the verb")
    .helpCommand(false)
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeOut: deps.writeOut, writeErr: deps.writeError })
    .showHelpAfterError("See `agentanycast --help`.");
  addGlobalOptions(program);
  for (const verb of deps.verbs) addVerb(program, verb, deps);
  return program.addHelpText("after", `\n${describeExitCodes()}`);
}

function addVerb(program: Command, verb: Verb, deps: CommandLineDeps): void {
  const words = verb.path.split(" ");
  const parent = words.slice(0, -1).reduce(group, program);
  const command = parent.command(words.at(-1) ?? "")
    .description(verb.summary)
    .helpCommand(false)
    .showHelpAfterError(`See \`agentanycast ${verb.path} --help\`.`);
  for (const [usage, description] of verb.arguments ?? []) command.argument(usage, description);
  verb.configure?.(command);
  if (verb.json) command.option("--json", "print JSON; errors come as JSON on stderr");
  if (verb.notes !== undefined) command.addHelpText("after", `\n${verb.notes}`);
  const examples = verb.examples.map((example) => `  agentanycast ${example}`);
  command.addHelpText("after", `\nExamples:\n${examples.join("\n")}`);
  command.action(() =>
    deps.onVerb(verb, { args: command.processedArgs, options: command.optsWithGlobals(), program })
  );
}

/** The command `word` of `parent`, made when it is not there yet. */
function group(parent: Command, word: string): Command {
  return parent.commands.find((command) => command.name() === word) ??
    parent.command(word).description(GROUPS[word] ?? "").helpCommand(false);
}
