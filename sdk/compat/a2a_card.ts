import type { JsonObject } from "../model.ts";
import type { A2aOptions } from "./a2a.ts";
import type { A2aVersion } from "./a2a_dialect.ts";
import { fromLegacyCard, fromLegacySkill, toLegacyCard, toLegacySkill } from "./card_legacy.ts";
import { fromCardV03, ONLY_V03, toCardV03 } from "./card_v03.ts";
import {
  type CompatCard,
  type CompatSkill,
  fromCardV1,
  fromSkillV1,
  toCardV1,
  toSkillV1,
} from "./card_v1.ts";
import { asObject, others } from "./json.ts";

/** How a card is written. */
export interface A2aCardOptions extends A2aOptions {
  /** Where its agent is served over HTTP (JSON-RPC). Default: only where the card itself says. */
  readonly url?: string;
}

/**
 * A card as JSON of A2A. What A2A has no member for (schemas, DIDs, relay addresses, credentials) goes into an extension of
 * its own, so that {@link fromA2aCard} gives the same card back. Signatures are not made here.
 */
export function toA2aCard(card: CompatCard, { version = "1.0", url }: A2aCardOptions = {}): JsonObject {
  if (version === "legacy") return toLegacyCard(card, url);
  const extra = card.extra === undefined || url === undefined ? card.extra : others(card.extra, [ONLY_V03]);
  const json = toCardV1(extra === undefined ? card : { ...card, extra }, url);
  return version === "1.0" ? others(json, [ONLY_V03]) : toCardV03(json);
}

/**
 * The card of a JSON of A2A; what has no place in a card is kept as `extra`. Nothing is proven by reading it. Throws
 * `AgentAnycastError` with `invalid_argument` for what is no card.
 */
export function fromA2aCard(json: unknown, { version = "1.0" }: A2aOptions = {}): CompatCard {
  if (version === "legacy") return fromLegacyCard(json);
  return fromCardV1(version === "1.0" ? json : fromCardV03(asObject(json, "the A2A card")));
}

/** The version that a card is written in. */
export function versionOfA2aCard(json: JsonObject): A2aVersion {
  if (json.protocolVersion !== undefined) return "0.3";
  return json.supportedInterfaces !== undefined && json.capabilities !== undefined ? "1.0" : "legacy";
}

/** A skill as JSON of A2A. Its schemas are told by cards, and by the legacy form, alone. */
export function toA2aSkill(skill: CompatSkill, { version = "1.0" }: A2aOptions = {}): JsonObject {
  return version === "legacy" ? toLegacySkill(skill) : toSkillV1(skill);
}

/** The skill of a JSON of A2A. Throws `AgentAnycastError` with `invalid_argument` for what is no skill. */
export function fromA2aSkill(json: unknown, { version = "1.0" }: A2aOptions = {}): CompatSkill {
  return version === "legacy" ? fromLegacySkill(json) : fromSkillV1(json);
}
