import { readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { systemClock } from "../../core/clock.ts";

const POLL_MS = 100;
/** How often a holder touches its lock. */
const BEAT_MS = 2_000;
/** A lock that was not touched for this long is of a process that is gone, whatever its number: others have the same one in a container. */
const STALE_MS = 10_000;

/**
 * Runs `work` while no other process does so under the same lock file; one left behind by a process that has died is taken over
 * after 10 seconds. Throws the reason of `signal` when that fires while waiting.
 */
export async function withFileLock<T>(
  path: string,
  work: () => Promise<T>,
  { signal }: { signal: AbortSignal },
): Promise<T> {
  const token = crypto.randomUUID();
  while (!await tryLock(path, token)) {
    await takeAwayWhenStale(path);
    await systemClock.sleep(POLL_MS, signal);
  }
  const beat = setInterval(() => void touch(path), BEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    // Another one may have taken it over while this process was suspended.
    if (await contentOf(path) === token) await rm(path, { force: true });
  }
}

async function tryLock(path: string, token: string): Promise<boolean> {
  try {
    await writeFile(path, token, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if (error instanceof Error && (error as { code?: unknown }).code === "EEXIST") return false;
    throw error;
  }
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => {}); // taken over: nothing is left to touch
}

/** Two that do this at once can let two in: what they make is checked before it is put in place, so that costs time alone. */
async function takeAwayWhenStale(path: string): Promise<void> {
  const touchedMs = await stat(path).then(({ mtimeMs }) => mtimeMs, () => Infinity); // gone meanwhile
  if (Date.now() - touchedMs < STALE_MS) return;
  const aside = `${path}.${crypto.randomUUID()}`;
  await rename(path, aside).catch(() => {}); // another one was faster
  await rm(aside, { force: true });
}

async function contentOf(path: string): Promise<string | undefined> {
  return await readFile(path, "utf8").catch(() => undefined); // gone
}
