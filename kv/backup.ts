import { backup, DatabaseSync } from "node:sqlite";
import { CodedError, errorMessage } from "../core/errors.ts";

/** Name of the database in the folder of a store. */
export const DATABASE_FILE = "agentanycast.kv";

const ALL_PAGES = 0x7fff_ffff;

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
  (await Deno.open(target, { write: true, createNew: true, mode: 0o600 })).close();
  try {
    const database = new DatabaseSync(source, { readOnly: true });
    try {
      database.exec("PRAGMA busy_timeout = 10000");
      // All pages in one step: between two, the owner could write, and the copy would begin anew.
      await backup(database, target, { rate: ALL_PAGES });
    } finally {
      database.close();
    }
  } catch (error) {
    await Deno.remove(target);
    throw new CodedError("unavailable", `Cannot copy the store in ${directory}: ${errorMessage(error)}`, {
      cause: error,
    });
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
