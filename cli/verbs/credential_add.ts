import { CodedError } from "../../core/errors.ts";
import { describeCredential } from "../card_text.ts";
import { toCredentialFacts } from "../credential_facts.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { openOwnTrust, reloadDaemon } from "../own_trust.ts";
import { readCredential } from "../read_credential.ts";
import type { VerbContext } from "../verb.ts";

/** Keeps a credential about this node's agent, which then goes out with its card. */
export async function run(context: VerbContext): Promise<number> {
  const { args: [file = ""], output, stdin } = context;
  const config = context.loadConfig();
  using own = await openOwnTrust(config);
  const { identity, trust } = own;
  const text = await readCredential(file, stdin);
  const subjects = [identity.didKey, ...Object.values(trust.dids)].filter((did) => did !== "");
  const checked = await trust.verifier.verify(text, { subjects });
  // What cannot be found out now may be found out by others.
  if (checked.verdict !== "valid" && checked.verdict !== "unverifiable") {
    throw new CodedError(
      "failed_precondition",
      `Cannot keep the credential, it is ${checked.verdict}: ${checked.reason}`,
    );
  }
  await trust.credentials.hold(text);
  const isTold = await reloadDaemon(config);
  const facts = toCredentialFacts(checked);
  output.result(facts, () => [
    describeCredential(facts),
    isTold
      ? "The card of the running daemon has it."
      : "The card has it from the next start of the daemon on.",
  ]);
  return EXIT_OK;
}
