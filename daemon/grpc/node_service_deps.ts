import type { AgentCard, ArtifactStreams, Engine } from "../../a2a/mod.ts";
import type { Clock } from "../../core/clock.ts";
import type { LogLevelControl } from "../../core/log.ts";
import type { P2pHost } from "../../p2p/mod.ts";
import type { Webhook } from "../a2a_api/push/webhook_record.ts";
import type { AgentNetwork } from "../agent_network.ts";
import type { AttachedAgents } from "../agents.ts";
import type { CardBook } from "../cards.ts";
import type { Trust } from "../trust/mod.ts";

/** Cards over the network. */
export interface CardExchange {
  /** Offers a changed own card to every connected peer. */
  announceCard(): Promise<void>;
  /** The card of a peer: the one at hand, else the one it answers with; asked before in vain, only with `askAgain`. */
  cardOf(peerId: string, options?: { askAgain?: boolean }): Promise<AgentCard | undefined>;
  /** Exchanges cards with a connected peer; never throws. */
  exchangeCards(peerId: string): Promise<void>;
}

/** What the services work with. */
export interface NodeServiceDeps {
  engine: Engine;
  network: AgentNetwork;
  streams: ArtifactStreams;
  host: P2pHost;
  cards: CardBook;
  agents: Pick<AttachedAgents, "attach" | "detach" | "takesTasks" | "cardChanged">;
  exchange: CardExchange;
  trust: Pick<Trust, "cards">;
  /** Webhooks that were given up, the last one first. */
  deadWebhooks: () => Promise<Webhook[]>;
  clock: Clock;
  home: string;
  startedAtMs: number;
  /** Asks the daemon to stop; returns before it has. */
  requestStop: () => void;
  /** Changes what is logged; without it nobody can. */
  logLevel?: LogLevelControl;
  /** Reads configuration and credentials again. Throws `invalid_argument`. */
  reload: () => Promise<void>;
}
