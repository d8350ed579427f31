import { create, toBinary } from "@bufbuild/protobuf";
import type { AgentCard } from "../../a2a/mod.ts";
import * as pb from "../../gen/agentanycast/v1/agent_card_pb.ts";
import { checkShape, decodeWithin, type ShapeLimits } from "./shape.ts";

/** What a card may cost its receiver. */
const LIMITS: ShapeLimits = { maxFields: 2000, maxDepth: 16 };

/** A card as the wire has it. */
export function toCard(card: AgentCard): pb.AgentCard {
  return create(pb.AgentCardSchema, {
    name: card.name,
    description: card.description,
    version: card.version,
    protocolVersion: card.protocolVersion,
    skills: card.skills.map((skill) => ({ ...skill, tags: [...skill.tags] })),
    p2pExtension: {
      peerId: card.peerId,
      supportedTransports: [...card.supportedTransports],
      relayAddresses: [...card.relayAddresses],
      didKey: card.didKey,
      didWeb: card.didWeb,
      didDns: card.didDns,
      verifiableCredentials: [...card.verifiableCredentials],
    },
  });
}

/** A card from the wire. */
export function fromCard(card: pb.AgentCard): AgentCard {
  const p2p = card.p2pExtension;
  return {
    name: card.name,
    description: card.description,
    version: card.version,
    protocolVersion: card.protocolVersion,
    skills: card.skills.map(({ id, name, description, tags, inputSchema, outputSchema }) => (
      { id, name, description, tags, inputSchema, outputSchema }
    )),
    peerId: p2p?.peerId ?? "",
    supportedTransports: p2p?.supportedTransports ?? [],
    relayAddresses: p2p?.relayAddresses ?? [],
    didKey: p2p?.didKey ?? "",
    didWeb: p2p?.didWeb ?? "",
    didDns: p2p?.didDns ?? "",
    verifiableCredentials: p2p?.verifiableCredentials ?? [],
  };
}

/**
 * The bytes of a card as they travel between peers; {@link decodeCard} takes them.
 * @throws CodedError `invalid_argument` when the card has too many fields.
 */
export function encodeCard(card: AgentCard): Uint8Array {
  const bytes = toBinary(pb.AgentCardSchema, toCard(card));
  checkShape(pb.AgentCardSchema, bytes, LIMITS);
  return bytes;
}

/** A card from its bytes. @throws CodedError `invalid_argument` when they are none or have too many fields. */
export function decodeCard(bytes: Uint8Array): AgentCard {
  return fromCard(decodeWithin(pb.AgentCardSchema, bytes, LIMITS));
}
