import { startAgentAnycast } from "./agentanycast.ts";
import { startBridge } from "./bridge.ts";
import type { ContenderEntry } from "./contender.ts";
import { startEmbeddedPair } from "./embedded_pair.ts";
import { startEngine } from "./engine.ts";
import { startHttpA2a } from "./http_a2a.ts";
import { missingNats, startNats } from "./nats.ts";
import { startRawTcp } from "./raw_tcp.ts";

/** Fifty rules of which the last one fits, limits that nobody reaches, and an audit log. */
const POLICY = `
  [policy]
  audit_log_path = "HOME/audit.jsonl"
  rate_limit = { default_rps = 1000000, burst = 1000000, max_tasks = 1000, total_rps = 1000000 }
  acl = [
${'    { direction = "both", source = "did:key:z6MkNobody*", allow = false },\n'.repeat(49)}
    { direction = "both", allow = true },
  ]
`;

const METRICS = `metrics = { enabled = true, listen = "127.0.0.1:0" }`;

/** What round trips can be measured on; the first is what the others are held against. */
export function roundTripContenders(command: readonly string[]): readonly ContenderEntry[] {
  return [
    { name: "sdk", start: () => startAgentAnycast({ command, fastLane: true }) },
    { name: "sdk-1.0", start: () => startAgentAnycast({ command, fastLane: false }) },
    { name: "engine", start: () => startEngine({ fastLane: true }) },
    { name: "engine-1.0", start: () => startEngine({ fastLane: false }) },
    { name: "sdk-policy", start: () => startAgentAnycast({ command, toml: POLICY }) },
    {
      name: "sdk-sealed",
      start: () => startAgentAnycast({ command, toml: `policy.encryption = "require"` }),
    },
    { name: "sdk-metrics", start: () => startAgentAnycast({ command, toml: METRICS }) },
    { name: "sdk-traced", start: () => startAgentAnycast({ command, traced: true }) },
    { name: "http-a2a", start: startHttpA2a },
    { name: "bridge", start: () => startBridge(command, "local") },
    { name: "bridge-remote", start: () => startBridge(command, "remote") },
    { name: "nats", start: startNats, missing: missingNats },
    { name: "tcp", start: startRawTcp },
  ];
}

/** An embedded node beside what it stands in for. */
export function embeddedContenders(command: readonly string[]): readonly ContenderEntry[] {
  return [
    { name: "embedded", start: startEmbeddedPair },
    { name: "managed", start: () => startAgentAnycast({ command }) },
    { name: "http-a2a", start: startHttpA2a },
    { name: "nats", start: startNats, missing: missingNats },
  ];
}
