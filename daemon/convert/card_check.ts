import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CardCheckSchema } from "../../gen/agentanycast/v1/node_service_pb.ts";
import type { CheckedCard } from "../trust/mod.ts";
import { toTimestamp } from "./time.ts";

/** What is proven of a card as the wire has it. */
export function toCardCheck(
  { signed, dids, credentials }: CheckedCard,
): MessageInitShape<typeof CardCheckSchema> {
  return {
    signed,
    dids: dids.map((one) => ({ ...one })),
    credentials: credentials.map(({ verdict, reason, claims }) => {
      const validUntil = toTimestamp(claims?.validUntilMs ?? 0);
      return {
        verdict,
        reason,
        ...claims && {
          ...{ id: claims.id, issuer: claims.issuer, legacy: claims.legacy },
          types: [...claims.types],
          capabilities: [...claims.capabilities],
        },
        ...validUntil && { validUntil },
      };
    }),
  };
}
