import type { RelayFacts } from "../../relay/mod.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { toFacts, visible } from "../output.ts";
import { askRelay, type RelayApiOptions } from "../relay_api.ts";
import type { VerbContext } from "../verb.ts";

/** Tells how a relay does. */
export async function run({ options, output, signal }: VerbContext<RelayApiOptions>): Promise<number> {
  const facts = await askRelay("/api/v1/status", options, signal) as RelayFacts;
  output.result(facts, () => [
    ...toFacts({
      "Relay": output.style(facts.status === "healthy" ? "green" : "yellow", facts.status),
      "Peer id": visible(facts.peer_id),
      "Version": visible(facts.version),
      "Uptime": `${facts.uptime_seconds} s`,
      "Agents here": facts.registry.local_count,
      "Agents elsewhere": facts.registry.federated_count,
      "Skills": facts.registry.skill_count,
      "Peers": facts.libp2p.connected_peers,
      "Places given": Number(facts.relay.reservations ?? 0),
      "Circuits": Number(facts.relay.circuits ?? 0),
      "Federated": facts.federation &&
        `${facts.federation.healthy_peers} of ${facts.federation.peers} in step`,
    }),
    "Addresses:",
    ...facts.addresses.map((address) => `  ${visible(address)}`),
  ]);
  return EXIT_OK;
}
