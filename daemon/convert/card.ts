import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { AgentCard, Skill } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import * as pb from "../../gen/agentanycast/v1/agent_card_pb.ts";
import type { Identity } from "../../identity/mod.ts";
import { appendSignature, isSignedBy } from "./card_signature.ts";
import { checkShape, decodeWithin, type ShapeLimits } from "../../rpc/shape.ts";
import { fromTimestamp } from "./time.ts";

/** What a card may cost its receiver. */
const LIMITS: ShapeLimits = { maxFields: 2000, maxDepth: 16 };

/** A card as the wire has it. */
export function toCard(card: AgentCard): pb.AgentCard {
  return create(pb.AgentCardSchema, {
    name: card.name,
    description: card.description,
    version: card.version,
    protocolVersion: card.protocolVersion,
    skills: card.skills.map(({ tags, inputModes = [], outputModes = [], examples = [], ...skill }) => ({
      ...skill,
      tags: [...tags],
      inputModes: [...inputModes],
      outputModes: [...outputModes],
      examples: [...examples],
    })),
    p2pExtension: {
      peerId: card.peerId,
      supportedTransports: [...card.supportedTransports],
      relayAddresses: [...card.relayAddresses],
      didKey: card.didKey,
      didWeb: card.didWeb,
      didDns: card.didDns,
      verifiableCredentials: [...card.verifiableCredentials],
      opensSealed: card.opensSealed ?? false,
      ...card.signedAtMs === 0 ? {} : { signedAt: timestampFromMs(card.signedAtMs) },
    },
  });
}

/** A card from the wire, as one that nobody has signed: {@link decodeCard} tells who has. */
export function fromCard(card: pb.AgentCard): AgentCard {
  const p2p = card.p2pExtension;
  return {
    name: card.name,
    description: card.description,
    version: card.version,
    protocolVersion: card.protocolVersion,
    skills: card.skills.map(fromSkill),
    peerId: p2p?.peerId ?? "",
    supportedTransports: p2p?.supportedTransports ?? [],
    relayAddresses: p2p?.relayAddresses ?? [],
    didKey: p2p?.didKey ?? "",
    didWeb: p2p?.didWeb ?? "",
    didDns: p2p?.didDns ?? "",
    verifiableCredentials: p2p?.verifiableCredentials ?? [],
    signedAtMs: 0,
    ...p2p?.opensSealed && { opensSealed: true },
  };
}

function fromSkill(skill: pb.Skill): Skill {
  const { id, name, description, tags, inputSchema, outputSchema, inputModes, outputModes, examples } = skill;
  return {
    ...{ id, name, description, tags, inputSchema, outputSchema },
    ...(inputModes.length > 0 && { inputModes }),
    ...(outputModes.length > 0 && { outputModes }),
    ...(examples.length > 0 && { examples }),
  };
}

/**
 * The bytes of a card without a signature; {@link decodeCard} takes them.
 * @throws CodedError `invalid_argument` when the card has too many fields.
 */
export function encodeCard(card: AgentCard): Uint8Array {
  const bytes = toBinary(pb.AgentCardSchema, toCard(card));
  checkShape(pb.AgentCardSchema, bytes, LIMITS);
  return bytes;
}

/** The bytes of this node's own card as they travel between peers: signed now. @throws CodedError like {@link encodeCard}. */
export function encodeSignedCard(
  card: AgentCard,
  { identity, nowMs }: { identity: Identity; nowMs: number },
): Uint8Array {
  return appendSignature(encodeCard({ ...card, signedAtMs: nowMs }), identity);
}

/**
 * A card from its bytes. @throws CodedError `invalid_argument` when they are none, have too many fields, or carry a signature
 * that is not that of the peer id in them.
 */
export function decodeCard(bytes: Uint8Array): AgentCard {
  const card = decodeWithin(pb.AgentCardSchema, bytes, LIMITS);
  const { signature, p2pExtension } = card;
  if (signature.length === 0) return fromCard(card);
  if (isSignedBy(p2pExtension?.peerId ?? "", bytes, signature)) {
    return { ...fromCard(card), signedAtMs: fromTimestamp(p2pExtension?.signedAt) };
  }
  throw new CodedError(
    "invalid_argument",
    "The agent card has been changed or forged: its signature is not by the key of its peer id",
  );
}
