import { writeNewFile } from "../../core/write_file.ts";
import { CodedError } from "../../core/errors.ts";
import { CredentialFolder, isDid, isPeerId, toDidKey } from "../../identity/mod.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { requireIdentity } from "../own_trust.ts";
import type { VerbContext } from "../verb.ts";

export interface CredentialIssueOptions {
  readonly type: string;
  readonly capability?: readonly string[];
  readonly claim?: Readonly<Record<string, string>>;
  /** In milliseconds. */
  readonly expires?: number;
  readonly output?: string;
}

/** Issues a credential about somebody, signed by this node. */
export async function run(context: VerbContext<CredentialIssueOptions>): Promise<number> {
  const { args: [subject = ""], options, output } = context;
  const config = context.loadConfig();
  const { type, capability = [], claim = {}, expires } = options;
  if (claim.id !== undefined) {
    throw new CodedError(
      "invalid_argument",
      "The claim id is the subject's: name the subject as the argument",
    );
  }
  const identity = await requireIdentity(config);
  const nowMs = Date.now();
  const { statusListUrl } = config.identity;
  const document = await new CredentialFolder(config.home).issue(
    {
      subject: toSubject(subject),
      type,
      claims: {
        ...type === "AgentCapabilityCredential" && { type: "AgentCapability" },
        ...claim,
        ...capability.length > 0 && { capabilities: capability },
      },
      validFromMs: nowMs,
      ...expires !== undefined && { validUntilMs: nowMs + expires },
    },
    { identity },
    { statusListUrl },
  );
  const text = JSON.stringify(document, null, 2);
  if (options.output === undefined) output.result(document, () => text.split("\n"));
  else {
    await writeNewFile(options.output, `${text}\n`);
    output.result(
      { id: document.id, file: options.output },
      () => [`${document.id} is in ${options.output}.`],
    );
  }
  if (statusListUrl === undefined) {
    output.note("It cannot be revoked: set identity.status_list_url to the place where others read what is.");
  }
  return EXIT_OK;
}

function toSubject(text: string): string {
  if (isPeerId(text)) return toDidKey(text);
  if (isDid(text)) return text;
  throw new CodedError("invalid_argument", `"${text}" is no subject: name a peer id (12D3KooW…) or a DID`);
}
