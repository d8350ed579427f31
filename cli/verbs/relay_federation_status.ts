import type { FederatedRelayFacts } from "../../relay/mod.ts";
import { EXIT_OK, EXIT_UNAVAILABLE } from "../exit_codes.ts";
import { toColumns, visible } from "../output.ts";
import { askRelay, type RelayApiOptions } from "../relay_api.ts";
import type { VerbContext } from "../verb.ts";

/** Tells how it stands with the relays that registrations are shared with. */
export async function run({ options, output, signal }: VerbContext<RelayApiOptions>): Promise<number> {
  const answer = await askRelay("/api/v1/federation", options, signal) as {
    peers: readonly FederatedRelayFacts[];
  };
  output.result(
    answer,
    () =>
      answer.peers.length === 0
        ? ["This relay shares registrations with no other: name some with --federation-peers."]
        : toColumns(answer.peers.map((peer) => [
          visible(peer.address),
          peer.healthy ? "in step" : `not reached for ${peer.consecutive_failures} tries`,
          peer.line ?? "",
          `taken ${peer.received}, told ${peer.sent}`,
          visible(peer.last_error ?? ""),
        ])),
  );
  return answer.peers.every(({ healthy }) => healthy) ? EXIT_OK : EXIT_UNAVAILABLE;
}
