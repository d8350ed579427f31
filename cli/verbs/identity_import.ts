import { CodedError, errorMessage } from "../../core/errors.ts";
import { type Identity, parseKey, replaceKey, saveKey } from "../../identity/mod.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { refuseWhileRunning } from "../own_trust.ts";
import type { VerbContext } from "../verb.ts";

export interface IdentityImportOptions {
  readonly replace?: boolean;
}

/** Makes the key in a file that of this node. */
export async function run(context: VerbContext<IdentityImportOptions>): Promise<number> {
  const { args: [file = ""], options, output } = context;
  const config = context.loadConfig();
  await refuseWhileRunning(config, "import a key");
  const identity = await readKey(file);
  const { peerId } = identity;
  let kept: string | undefined;
  try {
    await saveKey(config.keyPath, identity);
  } catch (error) {
    if (!(error instanceof CodedError && error.code === "already_exists")) throw error;
    if (!options.replace) {
      throw new CodedError(
        "already_exists",
        `This node has a key already (${config.keyPath}): --replace puts the other one in its place and keeps it beside`,
        { cause: error },
      );
    }
    kept = await replaceKey(config.keyPath, identity);
  }
  output.result({ peerId, key: config.keyPath, ...(kept !== undefined && { kept }) }, () => [
    `This node is ${peerId} now.`,
    ...kept === undefined ? [] : [`The former key is in ${kept}.`],
  ]);
  return EXIT_OK;
}

async function readKey(file: string): Promise<Identity> {
  let content: Uint8Array;
  try {
    content = await Deno.readFile(file);
  } catch (cause) {
    const code = cause instanceof Deno.errors.NotFound ? "not_found" : "permission_denied";
    throw new CodedError(code, `Cannot read a key from ${file}: ${errorMessage(cause)}`, { cause });
  }
  return parseKey(content, file);
}
