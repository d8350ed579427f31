import { mkdir, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import process from "node:process";

/** Folder in that of a release whose files name the processes that use it. */
const USERS = "users";
const RELEASE_NAME = /^\d+\.\d+\.\d+/;

/** Notes that this process may start the program in `folder`, also again later: other releases then let it be. */
export async function noteUse(folder: string): Promise<void> {
  const users = join(folder, USERS);
  try {
    await mkdir(users, { recursive: true, mode: 0o700 });
    await writeFile(join(users, String(process.pid)), "", { mode: 0o600 });
    const now = new Date();
    await utimes(users, now, now); // tells which release was used last
    for (const pid of await readdir(users)) {
      if (!isRunning(Number(pid))) await rm(join(users, pid), { force: true });
    }
  } catch {
    // A folder that this user cannot write to is not this user's to remove either.
  }
}

/**
 * Removes the releases beside the one in `current`, but for the one that was used last and those that a running process uses or
 * downloads. One that cannot be removed costs nothing but space.
 */
export async function removeOldReleases(current: string): Promise<void> {
  const root = dirname(current);
  const names = (await readdir(root)).filter((name) => RELEASE_NAME.test(name) && name !== basename(current));
  const folders = names.map((name) => join(root, name));
  const usedAt = new Map<string, number>();
  for (const folder of folders) usedAt.set(folder, await lastUse(folder));
  const [_previous, ...older] = folders.sort((a, b) => (usedAt.get(b) ?? 0) - (usedAt.get(a) ?? 0));
  for (const folder of older) if (!await isInUse(folder)) await remove(folder);
}

async function lastUse(folder: string): Promise<number> {
  const found = await stat(join(folder, USERS)).catch(() => stat(folder)).catch(() => undefined);
  return found?.mtimeMs ?? 0;
}

async function isInUse(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch(() => []);
  if (names.some((name) => name.endsWith(".lock"))) return true;
  const pids = await readdir(join(folder, USERS)).catch(() => []);
  return pids.some((pid) => isRunning(Number(pid)));
}

/** In one step for those that look: nobody finds a part of a release. */
async function remove(folder: string): Promise<void> {
  const aside = join(dirname(folder), `.removed-${crypto.randomUUID()}`);
  try {
    await rename(folder, aside);
    await rm(aside, { recursive: true, force: true });
  } catch {
    // Another process was faster, or the system keeps what runs, as Windows does.
  }
}

function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: unknown }).code === "EPERM"; // another user's
  }
}
