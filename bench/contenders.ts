import { startAgentAnycast } from "./agentanycast.ts";
import { startBridge } from "./bridge.ts";
import type { ContenderEntry } from "./contender.ts";
import { startEngine } from "./engine.ts";
import { startHttpA2a } from "./http_a2a.ts";
import { missingNats, startNats } from "./nats.ts";
import { startRawTcp } from "./raw_tcp.ts";

/** What round trips can be measured on; the first is what the others are held against. */
export function roundTripContenders(command: readonly string[]): readonly ContenderEntry[] {
  return [
    { name: "sdk", start: () => startAgentAnycast({ command, fastLane: true }) },
    { name: "sdk-1.0", start: () => startAgentAnycast({ command, fastLane: false }) },
    { name: "engine", start: () => startEngine({ fastLane: true }) },
    { name: "engine-1.0", start: () => startEngine({ fastLane: false }) },
    { name: "http-a2a", start: startHttpA2a },
    { name: "bridge", start: () => startBridge(command, "local") },
    { name: "bridge-remote", start: () => startBridge(command, "remote") },
    { name: "nats", start: startNats, missing: missingNats },
    { name: "tcp", start: startRawTcp },
  ];
}
