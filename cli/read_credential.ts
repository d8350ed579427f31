import { CodedError, errorMessage } from "../core/errors.ts";
import { MAX_CREDENTIAL_BYTES } from "../identity/mod.ts";
import type { ByteSource } from "./output.ts";
import { readText } from "./read_text.ts";

/** The text of a credential in a file, or on stdin for `-`. @throws CodedError. */
export async function readCredential(file: string, stdin: ByteSource): Promise<string> {
  try {
    if (file === "-") return await readText(stdin);
    const { size } = await Deno.stat(file);
    if (size <= MAX_CREDENTIAL_BYTES) return await Deno.readTextFile(file);
  } catch (cause) {
    if (cause instanceof CodedError) throw cause;
    const code = cause instanceof Deno.errors.NotFound ? "not_found" : "permission_denied";
    throw new CodedError(code, `Cannot read a credential from ${file}: ${errorMessage(cause)}`, { cause });
  }
  throw new CodedError(
    "invalid_argument",
    `${file} is no credential: it has more than ${MAX_CREDENTIAL_BYTES} bytes`,
  );
}
