import { addDaemonOptions } from "../settings.ts";
import type { Verb } from "../verb.ts";

/** What is said about the configuration. */
export const CONFIG_VERBS: readonly Verb[] = [
  {
    path: "config show",
    summary: "print the configuration, and where each value comes from",
    configure: (command) => {
      addDaemonOptions(command);
      command.option("--changed", "only what differs from the defaults");
    },
    notes: "Takes the flags of `daemon`, to see what they would change.",
    examples: ["config show", "config show --changed", "config show --json --log-level debug"],
    json: true,
    load: () => import("../verbs/config_show.ts"),
  },
  {
    path: "config check",
    summary: "tell whether a configuration can be used; every problem is named with its line",
    arguments: [["[file]", "configuration file (default: that of the home)"]],
    examples: ["config check", "config check ./agent.toml"],
    json: true,
    load: () => import("../verbs/config_check.ts"),
  },
  {
    path: "config init",
    summary: "write a configuration file with every setting, its default and what it is for",
    arguments: [["[file]", "file to write; - is stdout (default: that of the home)"]],
    notes: "An existing file is left alone.",
    examples: ["config init", "config init - | less"],
    json: true,
    load: () => import("../verbs/config_init.ts"),
  },
  {
    path: "config schema",
    summary: "print the JSON Schema of the configuration file, for editors",
    examples: ["config schema > ~/.agentanycast/config.schema.json"],
    load: () => import("../verbs/config_schema.ts"),
  },
];
