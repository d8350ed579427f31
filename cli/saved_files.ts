import { join } from "node:path";
import { CodedError, errorMessage } from "../core/errors.ts";

/** A file that came from a peer. */
export interface ReceivedFile {
  readonly bytes: Uint8Array;
  /** What the peer calls it; anything. */
  readonly filename: string;
}

/** Longest file name kept, in characters, so that any file system takes it with a suffix. */
const MAX_NAME_CHARS = 100;
/** How many files of one name a folder can get. */
const MAX_SAME_NAME = 1_000;

/**
 * Saves files in `directory` (made when missing) under their base names. Never overwrites: a name that is taken gets a
 * number. Answers the paths. Throws `permission_denied`, `already_exists` or `unavailable`.
 */
export async function saveFiles(directory: string, files: readonly ReceivedFile[]): Promise<string[]> {
  const paths: string[] = [];
  try {
    await Deno.mkdir(directory, { recursive: true });
    for (const { bytes, filename } of files) {
      const { file, path } = await createFile(directory, toSafeName(filename));
      using opened = file;
      for (let done = 0; done < bytes.length;) done += await opened.write(bytes.subarray(done));
      paths.push(path);
    }
  } catch (error) {
    if (error instanceof CodedError) throw error;
    const code = error instanceof Deno.errors.PermissionDenied ? "permission_denied" : "unavailable";
    throw new CodedError(code, `Cannot save files in ${directory}: ${errorMessage(error)}`, { cause: error });
  }
  return paths;
}

/** A name that stays in its folder, is not hidden, and means no device. */
export function toSafeName(filename: string): string {
  const base = filename.split(/[/\\]/).at(-1) ?? "";
  const name = base
    .replace(/[^\p{L}\p{N} ._()+@=,-]/gu, "_")
    .replace(/^[.\s]+/, "")
    .slice(0, MAX_NAME_CHARS)
    .replace(/[.\s]+$/, "");
  if (name === "") return "file";
  return /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(name) ? `_${name}` : name;
}

async function createFile(directory: string, name: string): Promise<{ file: Deno.FsFile; path: string }> {
  const [, stem = name, extension = ""] = /^(.+?)(\.[^.]*)?$/.exec(name) ?? [];
  for (let i = 1; i <= MAX_SAME_NAME; i++) {
    const path = join(directory, i === 1 ? name : `${stem}-${i}${extension}`);
    try {
      return { file: await Deno.open(path, { write: true, createNew: true, mode: 0o644 }), path };
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
  throw new CodedError(
    "already_exists",
    `Cannot save ${name} in ${directory}: ${MAX_SAME_NAME} files of that name are there; name another folder`,
  );
}
