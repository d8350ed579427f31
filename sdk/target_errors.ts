import {
  type AgentAnycastError,
  CardNotAvailableError,
  DaemonError,
  inPlaceOf,
  PeerNotFoundError,
  SkillNotFoundError,
  toAgentAnycastError,
} from "./errors.ts";
import type { SendTaskOptions } from "./send_request.ts";

/** Why a task could not be sent, in terms of its target. */
export function explainTarget(error: unknown, { skill }: SendTaskOptions): AgentAnycastError {
  const known = toAgentAnycastError(error);
  if (skill === undefined) return explainPeer(error);
  return isNotThere(known) ? new SkillNotFoundError(known.message, inPlaceOf(known)) : known;
}

/** Why a peer could not be spoken to. */
export function explainPeer(error: unknown): AgentAnycastError {
  const known = toAgentAnycastError(error);
  return isNotThere(known) ? new PeerNotFoundError(known.message, inPlaceOf(known)) : known;
}

/** Why there is no card of a peer. */
export function explainCard(error: unknown): AgentAnycastError {
  const known = toAgentAnycastError(error);
  return known.code === "not_found" && !(known instanceof DaemonError)
    ? new CardNotAvailableError(known.message, inPlaceOf(known))
    : explainPeer(error);
}

/** Daemons say either of both when the other side cannot be reached. */
function isNotThere(error: AgentAnycastError): boolean {
  return !(error instanceof DaemonError) && (error.code === "not_found" || error.code === "unavailable");
}
