import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { CHECKSUMS_FILE, SIGNATURE_FILE } from "../../core/release_signature.ts";
import { DaemonDownloadError, type DaemonError } from "../errors.ts";
import type { DaemonRelease } from "./daemon_release.ts";
import { fetchFile, type FetchOptions, fetchText, notKept } from "./fetch_file.ts";
import { withFileLock } from "./file_lock.ts";
import { noteUse, removeOldReleases } from "./old_releases.ts";
import { checksumOf } from "./signed_checksums.ts";

/** Tries of one download; each goes on where the one before has ended. */
const TRIES = 3;

/**
 * The path of the release's program, which is downloaded unless it is there. Its SHA-256 is that of the release's checksum file
 * and that file is signed by the release's key, each time anew. One process downloads at a time, others wait for it; the program
 * appears in one step, and what has come of a broken download is kept for the next try. A release that has come takes older ones
 * that nobody uses away, all but the one before. Throws {@link DaemonDownloadError} or the
 * reason of `signal`.
 */
export async function downloadDaemon(release: DaemonRelease, options: FetchOptions): Promise<string> {
  const program = join(release.folder, release.file);
  await refuseShared(release.folder);
  if (existsSync(program)) await noteUse(release.folder);
  if (await isGenuine(program, release)) return program;
  try {
    await mkdir(release.folder, { recursive: true, mode: 0o700 });
    await withFileLock(`${program}.lock`, async () => {
      if (await isGenuine(program, release)) return;
      await download(program, release, options);
      await removeOldReleases(release.folder);
    }, options);
    await noteUse(release.folder);
    return program;
  } catch (error) {
    options.signal.throwIfAborted();
    throw explain(error, release);
  }
}

/** Others could put another program there between its check and its start. */
async function refuseShared(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined); // not there yet
  if (process.platform === "win32" || found === undefined) return;
  const isOwn = [0, process.getuid?.()].includes(found.uid);
  if (isOwn && (found.mode & 0o022) === 0) return;
  throw new DaemonDownloadError(
    "failed_precondition",
    `Cannot use the programs in ${folder}: others may write there. Make it this user's alone (\`chmod 700\`), or remove it`,
  );
}

/** Whether the program is there and is what the checksums beside it say, as signed. */
async function isGenuine(program: string, release: DaemonRelease): Promise<boolean> {
  try {
    const [checksums, signature] = await Promise.all(
      [CHECKSUMS_FILE, SIGNATURE_FILE].map((name) => readFile(join(release.folder, name), "utf8")),
    );
    const signed = { ...release, checksums: checksums ?? "", signature: signature ?? "" };
    return await sha256Of(program) === checksumOf(release.file, signed);
  } catch {
    return false; // missing, damaged or by another key: in all cases it is downloaded
  }
}

async function download(program: string, release: DaemonRelease, options: FetchOptions): Promise<void> {
  const checksums = await fetchText(release.url + CHECKSUMS_FILE, options);
  const signature = await fetchText(release.url + SIGNATURE_FILE, options);
  const expected = checksumOf(release.file, { ...release, checksums, signature });
  const part = `${program}.part`;
  const url = release.url + release.file;
  let sum = await sha256Of(part); // whole already, when the process died then
  for (let tries = 0; sum !== expected && tries < 2; tries++) {
    // The beginning may be of another file, left by an earlier try.
    if (tries > 0) await rm(part, { force: true });
    await fetchWhole(url, part, options);
    sum = await sha256Of(part);
  }
  if (sum !== expected) {
    await rm(part, { force: true });
    throw new DaemonDownloadError(
      "data_loss",
      `Cannot use ${url}: its SHA-256 is not the signed one. Nothing of it was run or kept`,
    );
  }
  await chmod(part, 0o700);
  await writeFile(join(release.folder, CHECKSUMS_FILE), checksums, { mode: 0o600 });
  await writeFile(join(release.folder, SIGNATURE_FILE), signature, { mode: 0o600 });
  await rename(part, program);
}

async function fetchWhole(url: string, part: string, options: FetchOptions): Promise<void> {
  for (let tries = 1;; tries++) {
    try {
      return await fetchFile(url, part, options);
    } catch (error) {
      options.signal.throwIfAborted();
      if (!(error instanceof DaemonDownloadError) || tries === TRIES) throw error;
      if (error.code === "out_of_range") await rm(part, { force: true });
      else if (error.code !== "unavailable") throw error;
    }
  }
}

/** Undefined without a file. */
async function sha256Of(path: string): Promise<string | undefined> {
  if (!existsSync(path)) return undefined;
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

function explain(error: unknown, { url, file, folder }: DaemonRelease): DaemonError {
  if (!(error instanceof DaemonDownloadError)) return notKept(folder, error);
  if (error.code !== "unavailable" && error.code !== "not_found") return error;
  if (error.message.includes("daemonPath")) return error;
  return new DaemonDownloadError(
    error.code,
    `No agentanycast program on this machine, and ${url}${file} could not be downloaded to ${folder}: ${error.message}. ` +
      "Without a network: put the program on PATH, or set daemonPath or AGENTANYCAST_BINARY to it, or daemonAddr to " +
      "a running daemon. Behind a mirror: set releaseUrl or AGENTANYCAST_RELEASE_URL",
    { cause: error },
  );
}
