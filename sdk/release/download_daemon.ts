import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CHECKSUMS_FILE, SIGNATURE_FILE } from "../../core/release_signature.ts";
import { errorMessage } from "../../core/errors.ts";
import { DaemonDownloadError, type DaemonError } from "../errors.ts";
import type { DaemonRelease } from "./daemon_release.ts";
import { fetchFile, type FetchOptions, fetchText } from "./fetch_file.ts";
import { withFileLock } from "./file_lock.ts";
import { checksumOf } from "./signed_checksums.ts";

/** Tries of one download; each goes on where the one before has ended. */
const TRIES = 3;

/**
 * The path of the release's program, which is downloaded unless it is there. Its SHA-256 is that of the release's checksum file
 * and that file is signed by the release's key, each time anew. One process downloads at a time, others wait for it; the program
 * appears in one step, and what has come of a broken download is kept for the next try. Throws {@link DaemonDownloadError} or the
 * reason of `signal`.
 */
export async function downloadDaemon(release: DaemonRelease, options: FetchOptions): Promise<string> {
  const program = join(release.folder, release.file);
  if (await isGenuine(program, release)) return program;
  try {
    await mkdir(release.folder, { recursive: true, mode: 0o700 });
    await withFileLock(`${program}.lock`, async () => {
      if (!await isGenuine(program, release)) await download(program, release, options);
    }, options);
    return program;
  } catch (error) {
    options.signal.throwIfAborted();
    throw explain(error, release);
  }
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
  await fetchWhole(release.url + release.file, part, options);
  if (await sha256Of(part) !== expected) {
    // The beginning may be of another file, left by an earlier try.
    await rm(part, { force: true });
    await fetchWhole(release.url + release.file, part, options);
  }
  if (await sha256Of(part) !== expected) {
    await rm(part, { force: true });
    throw new DaemonDownloadError(
      "data_loss",
      `Cannot use ${release.url}${release.file}: its SHA-256 is not the signed one. Nothing of it was run or kept`,
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

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

function explain(error: unknown, { url, file, folder }: DaemonRelease): DaemonError {
  const known = error instanceof DaemonDownloadError;
  if (known && error.code !== "unavailable" && error.code !== "not_found") return error;
  if (known && error.message.includes("daemonPath")) return error;
  return new DaemonDownloadError(
    known ? error.code : "failed_precondition",
    `No agentanycast program on this machine, and ${url}${file} could not be downloaded to ${folder}: ${
      errorMessage(error)
    }. Without a network: put the program on PATH, or set daemonPath or AGENTANYCAST_BINARY to it, or daemonAddr to ` +
      "a running daemon. Behind a mirror: set releaseUrl or AGENTANYCAST_RELEASE_URL",
    { cause: error },
  );
}
