import { DatabaseSync } from "node:sqlite";
import { CodedError, errorMessage } from "../core/errors.ts";

/** Name of the database in the folder of a store. */
export const DATABASE_FILE = "agentanycast.kv";

/**
 * Copies the store in `directory`, also while its owner works with it, into the new file `target` (0600): all that was
 * committed when the copy began, and nothing half. Throws `not_found`, `already_exists`, `unavailable`.
 */
export async function copyStore(directory: string, target: string): Promise<void> {
  const source = `${directory}/${DATABASE_FILE}`;
  if (await sizeOf(source) === undefined) {
    throw new CodedError("not_found", `There is no store in ${directory}: name the home it belongs to`);
  }
  if (await sizeOf(target) !== undefined) {
    throw new CodedError("already_exists", `Cannot copy the store to ${target}: the file is there already`);
  }
  const umask = Deno.build.os === "windows" ? undefined : Deno.umask(0o077);
  try {
    const database = new DatabaseSync(source, { readOnly: true });
    try {
      database.exec("PRAGMA busy_timeout = 10000");
      database.prepare("VACUUM INTO ?").run(target);
    } finally {
      database.close();
    }
  } catch (error) {
    throw new CodedError("unavailable", `Cannot copy the store in ${directory}: ${errorMessage(error)}`, {
      cause: error,
    });
  } finally {
    if (umask !== undefined) Deno.umask(umask);
  }
  using file = await Deno.open(target, { read: true, write: true });
  await file.sync();
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
