import type { CheckedCredential } from "../identity/mod.ts";
import type { CredentialCheck } from "../sdk/mod.ts";

/** A checked credential as it is printed. */
export function toCredentialFacts({ verdict, reason, claims }: CheckedCredential): CredentialCheck {
  return {
    verdict,
    ...(reason !== "" && { reason }),
    ...(claims && {
      ...(claims.id !== "" && { id: claims.id }),
      issuer: claims.issuer,
      subjects: claims.subjects,
      types: claims.types,
      ...(claims.capabilities.length > 0 && { capabilities: claims.capabilities }),
      ...(claims.validUntilMs !== undefined && { validUntil: new Date(claims.validUntilMs) }),
      ...(claims.legacy && { legacy: true }),
    }),
  };
}
