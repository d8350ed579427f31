import type { Command } from "commander";
import { parseCount } from "../arguments.ts";
import { addRelayOptions } from "../relay_settings.ts";
import type { Verb } from "../verb.ts";

const ASKS = "Asks the REST API of the relay that runs on the home, or the one at --api.";

function addApi(command: Command): void {
  command.option("--api <url>", "REST API of the relay, such as http://127.0.0.1:8081");
}

/** A relay, and what it tells. */
export const RELAY_VERBS: readonly Verb[] = [
  {
    path: "relay",
    summary: "run a relay: circuits for agents that cannot be dialed, and a registry of who offers what",
    configure: addRelayOptions,
    notes: "Settings come from flags, then AGENTANYCAST_RELAY_* variables, then the configuration file.\n" +
      "The home is ~/.agentanycast/relay. Once all servers answer, stdout has RELAY_ADDR=<multiaddr> lines, then\n" +
      "REGISTRY_ADDR=, MCP_ADDR=, METRICS_ADDR= and API_ADDR=.",
    examples: [
      "relay",
      "relay --listen /ip4/0.0.0.0/tcp/4001 --announce /dns4/relay.example.com/tcp/4001",
      "relay --federation-peers relay-b.example.com:50052,relay-c.example.com:50052",
      "relay --api-listen 0.0.0.0:8081 --mcp-listen off",
    ],
    load: () => import("../verbs/relay.ts"),
  },
  {
    path: "relay status",
    summary: "tell how a relay does",
    configure: addApi,
    notes: ASKS,
    examples: ["relay status", "relay status --api http://relay.example.com:8081 --json"],
    json: true,
    load: () => import("../verbs/relay_status.ts"),
  },
  {
    path: "relay agents",
    summary: "list the agents that a relay knows",
    configure: (command) => {
      addApi(command);
      command
        .option("--skill <id>", "only those that offer this skill")
        .option("--text <words>", "only those in whose names, ids and descriptions these words are")
        .option("--limit <count>", "most agents to list", parseCount(1_000), 50);
    },
    notes: ASKS,
    examples: [
      "relay agents",
      "relay agents --skill translate",
      "relay agents --text 'weather europe' --json",
    ],
    json: true,
    load: () => import("../verbs/relay_agents.ts"),
  },
  {
    path: "relay skills",
    summary: "list the skills that agents offer at a relay",
    configure: addApi,
    notes: ASKS,
    examples: ["relay skills", "relay skills --json | jq -r '.skills[].id'"],
    json: true,
    load: () => import("../verbs/relay_skills.ts"),
  },
  {
    path: "relay federation status",
    summary: "tell how it stands with the relays that registrations are shared with",
    configure: addApi,
    notes: `${ASKS}\nExits with 3 when one of them is not reached.`,
    examples: ["relay federation status", "relay federation status --json"],
    json: true,
    load: () => import("../verbs/relay_federation_status.ts"),
  },
];
