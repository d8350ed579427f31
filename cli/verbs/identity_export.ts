import { CodedError } from "../../core/errors.ts";
import { writeNewFile } from "../../core/write_file.ts";
import { exportKey, type KeyFormat } from "../../identity/mod.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { requireIdentity } from "../own_trust.ts";
import type { VerbContext } from "../verb.ts";

export interface IdentityExportOptions {
  readonly format: KeyFormat;
}

/** Writes the private key of this node to a new file. */
export async function run(context: VerbContext<IdentityExportOptions>): Promise<number> {
  const { args: [file = ""], options: { format }, output } = context;
  const identity = await requireIdentity(context.loadConfig());
  try {
    await writeNewFile(file, exportKey(identity, format));
  } catch (cause) {
    if (!(cause instanceof Deno.errors.AlreadyExists)) throw cause;
    throw new CodedError("already_exists", `Cannot write ${file}: it is there already`, { cause });
  }
  const { peerId } = identity;
  output.result({ peerId, file, format }, () => [
    `The private key of ${peerId} is in ${file}. Whoever has it is this node: keep it safe.`,
  ]);
  return EXIT_OK;
}
