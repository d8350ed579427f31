import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { AgentCard } from "../../a2a/mod.ts";
import * as pb from "../../gen/agentanycast/v1/agent_card_pb.ts";

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

/** The bytes of a card as they travel between peers. */
export function encodeCard(card: AgentCard): Uint8Array {
  return toBinary(pb.AgentCardSchema, toCard(card));
}

/** A card from its bytes. @throws Error when they are none. */
export function decodeCard(bytes: Uint8Array): AgentCard {
  return fromCard(fromBinary(pb.AgentCardSchema, bytes));
}
