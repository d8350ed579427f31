import type { Logger } from "../../core/log.ts";
import type { A2aOperations } from "../a2a_api/a2a_operations.ts";
import type { AgentCards } from "../a2a_api/agent_cards.ts";

/** What the bridge works with. */
export interface BridgeDeps {
  operations: A2aOperations;
  cards: AgentCards;
  logger: Logger;
}
