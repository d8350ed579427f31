import { CodedError } from "../core/errors.ts";
import { toFileError } from "./store_errors.ts";

/** Bits of a file mode that give rights to the group and to others. */
const NOT_OWNER_BITS = 0o077;

/**
 * Makes `directory` (0700; a looser one is tightened) and takes the lock file in it, which holds the process id. The lock
 * lasts until the file is closed or the process ends, however it ends. Throws `aborted` when another process
 * (or another store of this one) has it, `permission_denied` or `unavailable` when the directory cannot be used.
 */
export async function lockDirectory(directory: string): Promise<Deno.FsFile> {
  const path = `${directory}/lock`;
  const file = await openLockFile(directory, path);
  try {
    if (!await file.tryLock(true)) throw await ownedError(directory, path);
    await file.truncate();
    await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
    return file;
  } catch (error) {
    file.close();
    throw error instanceof CodedError ? error : toFileError(error, "lock", path);
  }
}

async function openLockFile(directory: string, path: string): Promise<Deno.FsFile> {
  try {
    await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
    const { mode } = await Deno.stat(directory);
    if (Deno.build.os !== "windows" && mode !== null && (mode & NOT_OWNER_BITS) !== 0) {
      await Deno.chmod(directory, 0o700);
    }
    return await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
  } catch (error) {
    throw toFileError(error, "open the store in", directory);
  }
}

async function ownedError(directory: string, path: string): Promise<CodedError> {
  const pid = await readPid(path);
  const owner = pid === undefined ? "another process" : `process ${pid}`;
  return new CodedError(
    "aborted",
    `Cannot open the store in ${directory}: ${owner} is using it. ` +
      "Stop it with `agentanycast stop --home …`, or use another home",
    { details: pid === undefined ? { directory } : { directory, pid } },
  );
}

async function readPid(path: string): Promise<string | undefined> {
  try {
    return /^\d+$/m.exec(await Deno.readTextFile(path))?.[0];
  } catch {
    return undefined; // A locked file cannot be read on Windows; the message then does without.
  }
}
