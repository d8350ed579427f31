import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { AgentCardSchema } from "../../gen/agentanycast/v1/agent_card_pb.ts";
import { type Identity, isPeerId, publicKeyFromPeerId, signFor, verifyFor } from "../../identity/mod.ts";

/** Number of the field that has the signature; it is not signed itself. */
const SIGNATURE_FIELD = AgentCardSchema.field.signature.number;

/** An encoded card without signature, and the signature of its node behind it. */
export function appendSignature(card: Uint8Array, identity: Identity): Uint8Array {
  const signature = signFor("card", identity, card);
  return new BinaryWriter().raw(card).tag(SIGNATURE_FIELD, WireType.LengthDelimited).bytes(signature)
    .finish();
}

/**
 * Whether `signature`, out of `card`, is that of the key in `peerId` over the rest of the bytes, whatever fields these are:
 * a later version may have more of them.
 */
export function isSignedBy(peerId: string, card: Uint8Array, signature: Uint8Array): boolean {
  if (!isPeerId(peerId)) return false;
  return verifyFor("card", { publicKey: publicKeyFromPeerId(peerId), signature }, withoutSignature(card));
}

function withoutSignature(card: Uint8Array): Uint8Array {
  const reader = new BinaryReader(card);
  const writer = new BinaryWriter();
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [number, wireType] = reader.tag();
    reader.skip(wireType, number);
    if (number !== SIGNATURE_FIELD) writer.raw(card.subarray(start, reader.pos));
  }
  return writer.finish();
}
