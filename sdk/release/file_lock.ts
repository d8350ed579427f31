import { readFile, rename, rm, writeFile } from "node:fs/promises";
import process from "node:process";
import { systemClock } from "../../core/clock.ts";

const POLL_MS = 100;

/**
 * Runs `work` while no other process of this machine does so under the same lock file; one left behind by a process that has died
 * is taken over. Throws the reason of `signal` when that fires while waiting.
 */
export async function withFileLock<T>(
  path: string,
  work: () => Promise<T>,
  { signal }: { signal: AbortSignal },
): Promise<T> {
  while (!await tryLock(path)) {
    await takeAwayWhenStale(path);
    await systemClock.sleep(POLL_MS, signal);
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function tryLock(path: string): Promise<boolean> {
  try {
    await writeFile(path, String(process.pid), { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}

/** Two that do this at once can let two in: what they make is checked before it is put in place, so that costs time alone. */
async function takeAwayWhenStale(path: string): Promise<void> {
  const holder = Number(await readFile(path, "utf8").catch(() => "")); // gone meanwhile: 0
  if (!(holder > 0) || isAlive(holder)) return;
  const aside = `${path}.${crypto.randomUUID()}`;
  await rename(path, aside).catch(() => {}); // another one was faster
  await rm(aside, { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !isErrno(error, "ESRCH"); // not ours to signal, but there
  }
}

/** Whether `error` is that of a system call with this code. */
export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === code;
}
