import { collectPair, collectTag, parseCount, parseTime } from "../arguments.ts";
import type { Verb } from "../verb.ts";
import { addOutput, addTimeout, OWN_DAEMON, TARGET } from "../verb_parts.ts";

const TAG = ["-t, --tag <key=value>", "label that the skill must have (repeatable)", collectTag] as const;

/** Sending tasks, and finding agents for them. */
export const ANYCAST_VERBS: readonly Verb[] = [
  {
    path: "send",
    summary: "send a task to an agent and print its result",
    arguments: [
      ["[target]", `${TARGET[1]}, or a URL; left out with --skill: any agent that has it`],
      ["[message]", "text of the task; - reads it from stdin"],
    ],
    configure: (command) => {
      command
        .option("--skill <name>", "the skill that is asked for")
        .option(...TAG)
        .option("--url <url>", "send to the agent behind this URL (A2A or ANP over HTTP)")
        .option("--metadata <key=value>", "fact to attach to the task (repeatable)", collectPair)
        .option("--context <id>", "the conversation it belongs to")
        .option("--task-id <id>", "id of the task; sending the same again does not make a second one")
        .option("--deadline <time>", "when it fails on both sides if it is not done, such as 30s", parseTime)
        .option("--no-wait", "print the id of the task and go");
      addTimeout(command);
      addOutput(command);
    },
    notes: `${OWN_DAEMON}\nText of the result goes to stdout, progress to stderr.\n` +
      "A peer that cannot be reached gets the task later. Without a target the task goes to the first agent\n" +
      "with the skill that takes it; one that cannot be reached or refuses is skipped. When the agent asks\n" +
      "something you are asked on a terminal; otherwise the exit code is 12 and `task reply` answers.",
    examples: [
      "send 12D3KooW… 'Hello, world!'",
      "send --skill translate -t lang=fr 'Hello, world!'",
      "send --url https://agent.example 'Hello, world!'",
      "send /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW… --skill summarize - < report.txt",
      "send 12D3KooW… 'Draw a cat' --output ./cats --timeout 120",
      "send 12D3KooW… 'Nightly report' --no-wait --task-id report-2026-01-31 --deadline 2h",
    ],
    json: true,
    load: () => import("../verbs/send.ts"),
  },
  {
    path: "discover",
    summary: "list the agents that offer a skill",
    arguments: [["[skill]", "the skill; left out: any"]],
    configure: (command) => {
      command
        .option(...TAG)
        .option("--prefix <text>", "a skill whose name begins with this")
        .option("--text <words>", "words that are all found in names and descriptions")
        .option("--limit <count>", "most agents listed", parseCount(1_000), 100);
      addTimeout(command);
    },
    notes:
      `${OWN_DAEMON}\nAsks relays and registries, the DHT, connected peers and neighbours on the local network.\n` +
      "PROVEN agents are described in their own words; of others a registry says it without proof.\n" +
      "Exits with 5 when there is none, with 3 when there is none and not everybody could be asked.",
    examples: [
      "discover translate",
      "discover translate -t lang=fr -t fast= --json",
      "discover --text 'weather europe' --relay /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW…",
    ],
    json: true,
    load: () => import("../verbs/discover.ts"),
  },
];
