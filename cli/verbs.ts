import { Argument, Option } from "commander";
import { LOG_LEVELS } from "../core/log.ts";
import type { TaskStatus } from "../sdk/mod.ts";
import { parseCount } from "./arguments.ts";
import { addOutput, addTimeout, OWN_DAEMON, TARGET } from "./verb_parts.ts";
import { SHELLS } from "./completion.ts";
import { ANYCAST_VERBS } from "./tables/anycast_verbs.ts";
import { CONFIG_VERBS } from "./tables/config_verbs.ts";
import { NAT_VERBS } from "./tables/nat_verbs.ts";
import { HOME_VERBS } from "./tables/home_verbs.ts";
import { addDaemonOptions } from "./settings.ts";
import { MCP_VERBS } from "./tables/mcp_verbs.ts";
import { TRUST_VERBS } from "./tables/trust_verbs.ts";
import { RELAY_VERBS } from "./tables/relay_verbs.ts";
import type { Verb } from "./verb.ts";

const TASK_ID = ["<id>", "id of the task"] as const;

const TASK_STATUSES = [
  "submitted",
  "working",
  "input_required",
  "auth_required",
  "completed",
  "failed",
  "canceled",
  "rejected",
] as const satisfies readonly TaskStatus[];

/** Every verb, in the order of the help. */
export const VERBS: readonly Verb[] = [
  {
    path: "daemon",
    summary: "run the daemon in the foreground",
    configure: addDaemonOptions,
    notes: "Settings come from flags, then AGENTANYCAST_* variables, then the configuration file.\n" +
      "Once it serves, stdout has PEER_ID=<id> and a LISTEN_ADDR=<address> for each address.",
    examples: [
      "daemon",
      "daemon --home ~/agents/a --listen /ip4/0.0.0.0/tcp/4001",
      "daemon --log-format json",
    ],
    load: () => import("./verbs/daemon.ts"),
  },
  {
    path: "demo",
    summary: "run a daemon with an agent that echoes what it is sent",
    configure: addDaemonOptions,
    examples: ["demo", "demo --home /tmp/echo --listen /ip4/127.0.0.1/tcp/0"],
    load: () => import("./verbs/demo.ts"),
  },
  ...ANYCAST_VERBS,
  {
    path: "status",
    summary: "tell whether a daemon runs, and how it is reached",
    notes: "Exits with 3 when no daemon runs.",
    examples: ["status", "status --json"],
    json: true,
    load: () => import("./verbs/status.ts"),
  },
  {
    path: "peers",
    summary: "list the peers the daemon is connected to",
    examples: ["peers", "peers --json"],
    json: true,
    load: () => import("./verbs/peers.ts"),
  },
  {
    path: "connect",
    summary: "connect to a peer",
    arguments: [TARGET],
    configure: addTimeout,
    notes: OWN_DAEMON,
    examples: ["connect /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW…"],
    json: true,
    load: () => import("./verbs/connect.ts"),
  },
  {
    path: "card",
    summary: "print the card of a peer, or the own one",
    arguments: [["[target]", TARGET[1]]],
    configure: addTimeout,
    notes: OWN_DAEMON,
    examples: ["card", "card 12D3KooW… --json"],
    json: true,
    load: () => import("./verbs/card.ts"),
  },
  {
    path: "card set",
    summary: "set the own card, as `card --json` prints it",
    arguments: [["<file>", "JSON file; - reads stdin"]],
    examples: ["card set card.json", "card --json | jq '.name = \"New name\"' | agentanycast card set -"],
    json: true,
    load: () => import("./verbs/card_set.ts"),
  },
  {
    path: "task list",
    summary: "list tasks, newest first",
    configure: (command) => {
      command
        .addOption(new Option("--status <status>", "only tasks in this status").choices(TASK_STATUSES))
        .addOption(new Option("--direction <which>", "only one side's").choices(["inbound", "outbound"]))
        .option("--limit <count>", "most tasks to list", parseCount(10_000), 20)
        .addOption(
          new Option("--dead", "webhooks that were given up, in place of tasks")
            .conflicts(["status", "direction"]),
        );
    },
    examples: [
      "task list",
      "task list --status working --direction inbound --limit 100",
      "task list --dead",
    ],
    json: true,
    load: () => import("./verbs/task_list.ts"),
  },
  {
    path: "task get",
    summary: "print a task with its messages and results",
    arguments: [TASK_ID],
    configure: (command) => {
      command.option("--refresh", "ask the node of its agent first");
      addOutput(command);
    },
    examples: ["task get 6b0c7a52-…", "task get 6b0c7a52-… --refresh", "task get 6b0c7a52-… --json"],
    json: true,
    load: () => import("./verbs/task_get.ts"),
  },
  {
    path: "task watch",
    summary: "print the changes of a task until it is over",
    arguments: [TASK_ID],
    configure: (command) =>
      void command.option(
        "--after <number>",
        "begin behind this change, 0 for all (default: how it stands)",
        parseCount(Number.MAX_SAFE_INTEGER),
      ),
    notes: "Each line begins with the number of the change. With --json there is one object per line.",
    examples: ["task watch 6b0c7a52-…", "task watch 6b0c7a52-… --after 0 --json | jq -r .status"],
    json: true,
    load: () => import("./verbs/task_watch.ts"),
  },
  {
    path: "task reply",
    summary: "answer the question of an agent, and follow the task on",
    arguments: [TASK_ID, ["<text>", "the answer; - reads it from stdin"]],
    configure: (command) => {
      command.option("--no-wait", "print the id of the task and go");
      addTimeout(command);
      addOutput(command);
    },
    examples: ["task reply 6b0c7a52-… 'The blue one'", "task reply 6b0c7a52-… - < answer.txt"],
    json: true,
    load: () => import("./verbs/task_reply.ts"),
  },
  {
    path: "task artifact",
    summary: "save an artifact of a task, also while it is streamed; without a name, list them",
    arguments: [TASK_ID, ["[artifact]", "id or name of the artifact"]],
    configure: (command) => {
      command.option("-o, --output <file>", "where to save it (default: its name, here)");
      addTimeout(command);
    },
    notes: "Nothing is overwritten. A streamed artifact is there under its name once it is whole.",
    examples: [
      "task artifact 6b0c7a52-…",
      "task artifact 6b0c7a52-… report.csv -o ./report.csv --timeout 600",
    ],
    json: true,
    load: () => import("./verbs/task_artifact.ts"),
  },
  {
    path: "task cancel",
    summary: "cancel a task, sent or received",
    arguments: [TASK_ID],
    notes:
      "The agent of a sent task has the last word: until it has confirmed, the cancellation is requested.",
    examples: ["task cancel 6b0c7a52-…"],
    json: true,
    load: () => import("./verbs/task_cancel.ts"),
  },
  {
    path: "stop",
    summary: "stop the daemon that runs on the home",
    examples: ["stop", "stop --home ~/agents/a"],
    json: true,
    load: () => import("./verbs/stop.ts"),
  },
  {
    path: "logs",
    summary: "print the end of the daemon's log",
    configure: (command) => {
      command
        .option("-f, --follow", "go on with what is added")
        .option("-n, --lines <count>", "lines to begin with", parseCount(1_000_000), 50);
    },
    notes: 'With --json each line is printed as {"line": "..."}, one object per line, also with -f.',
    examples: ["logs", "logs -f", "logs -n 1000 | grep WARN", "logs -f --json | jq -r .line"],
    json: true,
    load: () => import("./verbs/logs.ts"),
  },
  ...MCP_VERBS,
  {
    path: "logs level",
    summary: "print how much the daemon logs, or change it until the daemon stops",
    arguments: [["[level]", LOG_LEVELS.join(", ")]],
    examples: ["logs level", "logs level debug"],
    json: true,
    load: () => import("./verbs/logs_level.ts"),
  },
  {
    path: "info",
    summary: "print version, folders and identity; needs no daemon",
    examples: ["info", "info --json"],
    json: true,
    load: () => import("./verbs/info.ts"),
  },
  ...TRUST_VERBS,
  ...RELAY_VERBS,
  ...CONFIG_VERBS,
  ...NAT_VERBS,
  ...HOME_VERBS,
  {
    path: "version",
    summary: "print the version",
    examples: ["version"],
    json: true,
    load: () => import("./verbs/version.ts"),
  },
  {
    path: "completion",
    summary: "print a completion script for a shell",
    configure: (command) =>
      void command.addArgument(new Argument("<shell>", "the shell it is for").choices(SHELLS)),
    examples: ["completion bash > ~/.local/share/bash-completion/completions/agentanycast"],
    load: () => import("./verbs/completion.ts"),
  },
  {
    path: "help",
    summary: "explain a verb, or the exit codes",
    arguments: [["[verb]", "the verb, or exit-codes"], ["[subverb]", "its second word"], [
      "[subsubverb]",
      "its third word",
    ]],
    examples: ["help send", "help task get", "help exit-codes"],
    load: () => import("./verbs/help.ts"),
  },
];
