import type { AgentCard } from "../../a2a/mod.ts";
import type { Clock } from "../../core/clock.ts";
import type { Config } from "../../core/config.ts";
import { errorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { type Identity, parseCredential } from "../../identity/mod.ts";
import type { NodeMeter } from "../../core/node_metrics.ts";
import type { P2pHost } from "../../p2p/mod.ts";
import type { Trust } from "../trust/mod.ts";
import type { Party, Wanted } from "./acl.ts";
import { fitsPattern } from "./pattern.ts";
import { basicParty, Policy } from "./policy.ts";

export interface OpenPolicyDeps {
  identity: Identity;
  /** The host, once there is one. */
  host: () => Pick<P2pHost, "peers">;
  /** The card of a peer, when it has one. */
  cardOf: (peerId: string) => Promise<AgentCard | undefined>;
  trust: Pick<Trust, "cards">;
  metrics: { readonly meter: NodeMeter };
  clock: Clock;
  logger: Logger;
}

/** The policy of a daemon, over the cards of its peers. */
export function openPolicy(config: Config, deps: OpenPolicyDeps): Policy {
  const { identity: { peerId }, host, cardOf, trust } = deps;
  const logger = deps.logger.child({ room: "policy" });
  return new Policy(config.policy, {
    peerId,
    logger,
    clock: deps.clock,
    onDecision: (wire, action) => deps.metrics.meter.count("policy_decisions_total", { wire, action }),
    addressOf: (peer) => host().peers().find((one) => one.peerId === peer)?.address,
    provenParty: async (peer, wanted): Promise<Party> => {
      const party = basicParty(peer);
      try {
        const card = await cardOf(peer);
        return card === undefined ? party : await withProofs(party, asWanted(card, wanted), trust);
      } catch (error) {
        logger.warn("The card of a peer could not be checked for the policy", {
          peer,
          error: errorMessage(error),
        });
        return party;
      }
    },
  });
}

async function withProofs(party: Party, card: AgentCard, trust: Pick<Trust, "cards">): Promise<Party> {
  const { dids, credentials } = await trust.cards.check(card);
  return {
    ...party,
    names: [...party.names, ...dids.flatMap(({ did, verdict }) => verdict === "verified" ? did : [])],
    credentials: credentials.flatMap(({ verdict, claims }) => verdict === "valid" && claims ? claims : []),
  };
}

/** The card without claims that no rule asks about, so that nobody makes this node look up what it has no use for. */
function asWanted(card: AgentCard, { names, issuers }: Wanted): AgentCard {
  const verifiableCredentials = card.verifiableCredentials.filter((text) => {
    const issuer = issuerOf(text);
    return issuer !== undefined && issuers.some((pattern) => fitsPattern(pattern, issuer));
  });
  // A credential may be about any of the names.
  const isWanted = (did: string) =>
    verifiableCredentials.length > 0 || names.some((pattern) => fitsPattern(pattern, did));
  return {
    ...card,
    verifiableCredentials,
    didWeb: isWanted(card.didWeb) ? card.didWeb : "",
    didDns: isWanted(card.didDns) ? card.didDns : "",
  };
}

function issuerOf(text: string): string | undefined {
  try {
    return parseCredential(text).issuer;
  } catch {
    return undefined; // it is no credential
  }
}
