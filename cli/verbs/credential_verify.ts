import { openTrust } from "../../daemon/mod.ts";
import { createIdentity, isPeerId, toDidKey } from "../../identity/mod.ts";
import { describeCredential } from "../card_text.ts";
import { toCredentialFacts } from "../credential_facts.ts";
import { EXIT_FAILURE, EXIT_OK } from "../exit_codes.ts";
import { readCredential } from "../read_credential.ts";
import type { VerbContext } from "../verb.ts";

export interface CredentialVerifyOptions {
  readonly subject?: readonly string[];
}

/** Tells whether a credential is valid; the exit code says it too. */
export async function run(context: VerbContext<CredentialVerifyOptions>): Promise<number> {
  const { args: [file = ""], options, output, stdin } = context;
  const text = await readCredential(file, stdin);
  // Whoever verifies needs no key of his own.
  const identity = createIdentity(crypto.getRandomValues(new Uint8Array(32)));
  using trust = openTrust(context.loadConfig(), { identity });
  const subjects = options.subject?.map((one) => isPeerId(one) ? toDidKey(one) : one);
  const checked = await trust.verifier.verify(text, subjects && { subjects });
  const facts = toCredentialFacts(checked);
  output.result(facts, () => [describeCredential(facts)]);
  return checked.verdict === "valid" ? EXIT_OK : EXIT_FAILURE;
}
