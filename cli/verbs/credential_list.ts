import { CredentialFolder, parseCredential } from "../../identity/mod.ts";
import { describeCredential } from "../card_text.ts";
import { toCredentialFacts } from "../credential_facts.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { openOwnTrust } from "../own_trust.ts";
import type { VerbContext } from "../verb.ts";

export interface CredentialListOptions {
  readonly check?: boolean;
}

/** Prints the credentials about this node's agent, and those that it has issued. */
export async function run(context: VerbContext<CredentialListOptions>): Promise<number> {
  const { options, output } = context;
  const config = context.loadConfig();
  using own = await openOwnTrust(config);
  const folder = new CredentialFolder(config.home);
  const held = await Promise.all((await folder.held()).map(async (text) =>
    toCredentialFacts(
      options.check
        ? await own.trust.verifier.verify(text, {
          subjects: [own.identity.didKey, ...Object.values(own.trust.dids)],
        })
        : { verdict: "valid", reason: "", claims: parseCredential(text) },
    )
  ));
  const issued = (await folder.issued()).map(({ claims, revokedAtMs }) =>
    toCredentialFacts({ verdict: revokedAtMs === undefined ? "valid" : "revoked", reason: "", claims })
  );
  output.result({ held, issued }, () => [
    held.length === 0 ? "Holds none." : "Holds, about this agent:",
    ...held.map((one) =>
      `  ${one.id ?? ""} ${options.check ? describeCredential(one) : describeClaims(one)}`
    ),
    issued.length === 0 ? "Has issued none." : "Has issued:",
    ...issued.map((one) =>
      `  ${one.id ?? ""} ${describeClaims(one)}${one.verdict === "revoked" ? " REVOKED" : ""}`
    ),
  ]);
  return EXIT_OK;
}

function describeClaims(credential: Parameters<typeof describeCredential>[0]): string {
  return describeCredential(credential).replace(/ (VALID|REVOKED)$/, "");
}
