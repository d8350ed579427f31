import { fileURLToPath } from "node:url";
import { CodedError, errorMessage } from "../core/errors.ts";
import type { Artifact, Part } from "../sdk/mod.ts";

/** Writes what a stored artifact holds to a new file; answers its length. Throws `invalid_argument`, `unavailable`. */
export async function saveStored(artifact: Artifact, path: string): Promise<number> {
  try {
    using file = await Deno.open(path, { write: true, createNew: true, mode: 0o644 });
    for (const part of artifact.parts) {
      for await (const chunk of contentOf(part)) {
        for (let done = 0; done < chunk.length;) done += await file.write(chunk.subarray(done));
      }
    }
    return (await file.stat()).size;
  } catch (error) {
    if (error instanceof CodedError) {
      await Deno.remove(path).catch(() => {/* it may never have been there */});
      throw error;
    }
    throw new CodedError("unavailable", `Cannot save ${path}: ${errorMessage(error)}`, { cause: error });
  }
}

async function* contentOf({ text, data, raw, url }: Part): AsyncGenerator<Uint8Array> {
  if (raw !== undefined) yield raw;
  else if (text !== undefined) yield new TextEncoder().encode(text);
  else if (data !== undefined) yield new TextEncoder().encode(JSON.stringify(data, null, 2));
  else if (url?.startsWith("file:")) yield* (await Deno.open(fileURLToPath(url))).readable;
  else {
    throw new CodedError(
      "invalid_argument",
      url === undefined
        ? "Cannot save the artifact: it has not arrived whole"
        : `Cannot save the artifact: it lies at ${url}`,
    );
  }
}
