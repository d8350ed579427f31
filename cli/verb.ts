import type { Command } from "commander";
import type { Config } from "../core/config.ts";
import type { Logger } from "../core/log.ts";
import type { ByteSource, Output } from "./output.ts";

/** The name the program was called by; under the second one it is the daemon and nothing else. */
export type ProgramName = "agentanycast" | "agentanycastd";

/** Options that every verb takes. */
export interface GlobalOptions {
  readonly home?: string;
  readonly config?: string;
  readonly relay?: readonly string[];
  readonly verbose?: boolean;
  readonly json?: boolean;
}

/** What a verb works with. */
export interface VerbContext<Options = unknown> {
  readonly name: ProgramName;
  /** Positional arguments in the order of the verb's declaration. */
  readonly args: readonly (string | undefined)[];
  readonly options: Readonly<GlobalOptions & Options>;
  readonly output: Output;
  readonly stdin: ByteSource;
  /** Fires when the user wants the program to end. */
  readonly signal: AbortSignal;
  /** Writes to stderr with `--verbose`, else nowhere. */
  readonly logger: Logger;
  /** The whole command line, to describe it. */
  readonly program: Command;
  /** The configuration with the flags given. Throws `invalid_argument`. */
  loadConfig(): Config;
}

/** The file of a verb. */
export interface VerbModule {
  /** Does the work; answers the exit code. Throws `CodedError`s, which are reported in one place. */
  run(context: VerbContext): Promise<number>;
}

/** A verb as the command line declares it; its code is loaded when it is called. */
export interface Verb {
  /** The words that call it, such as `task get`. */
  readonly path: string;
  readonly summary: string;
  /** Positional arguments in order: `<needed>` or `[optional]`, and what they are. */
  readonly arguments?: readonly (readonly [usage: string, description: string])[];
  /** Declares its own options. */
  readonly configure?: (command: Command) => void;
  /** More about it, shown below its options. */
  readonly notes?: string;
  /** Calls to learn from, without the name of the program. */
  readonly examples: readonly string[];
  /** Whether it takes `--json`. */
  readonly json?: boolean;
  readonly load: () => Promise<VerbModule>;
}
