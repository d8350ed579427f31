import { CodedError } from "../../core/errors.ts";
import { CredentialFolder } from "../../identity/mod.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { reloadDaemon } from "../own_trust.ts";
import type { VerbContext } from "../verb.ts";

/** Removes a credential about this node's agent. */
export async function run({ args: [id = ""], output, loadConfig }: VerbContext): Promise<number> {
  const config = loadConfig();
  if (!await new CredentialFolder(config.home).drop(id)) {
    throw new CodedError("not_found", `This node holds no credential ${id}: see \`credential list\``);
  }
  await reloadDaemon(config);
  output.result({ id, removed: true }, () => [`${id} is removed; the card is without it.`]);
  return EXIT_OK;
}
