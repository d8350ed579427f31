import { open, stat } from "node:fs/promises";
import { errorMessage } from "../../core/errors.ts";
import { DaemonDownloadError } from "../errors.ts";

/** Most bytes of a program. */
const MAX_PROGRAM_BYTES = 1024 ** 3;
/** Most bytes of a checksum or signature file. */
const MAX_TEXT_BYTES = 64 * 1024;
/** A download that stands still for this long is given up. */
const STALL_MS = 30_000;

/** How far a download is. */
export interface DownloadProgress {
  /** Bytes on disk, those of an earlier try included. */
  readonly receivedBytes: number;
  /** Bytes of the whole, when the server says. */
  readonly totalBytes: number | undefined;
}

export interface FetchOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** A short text file. Throws {@link DaemonDownloadError}. */
export async function fetchText(url: string, { signal }: FetchOptions): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  await read(url, {}, async (response, refresh) => {
    for await (const chunk of bodyOf(response)) {
      refresh();
      if ((length += chunk.length) > MAX_TEXT_BYTES) throw tooLarge(url, MAX_TEXT_BYTES);
      chunks.push(chunk);
    }
  }, signal);
  return await new Blob(chunks as Uint8Array<ArrayBuffer>[]).text();
}

/**
 * Downloads into `path`, behind what an earlier try has left there when the server can go on from that. What has come stays there
 * when it throws: {@link DaemonDownloadError}, or the reason of `signal`.
 */
export async function fetchFile(
  url: string,
  path: string,
  { signal, onProgress }: FetchOptions,
): Promise<void> {
  const before = await stat(path).then(({ size }) => size, () => 0);
  const headers: Record<string, string> = before > 0 ? { range: `bytes=${before}-` } : {};
  await read(url, headers, async (response, refresh) => {
    const resumes = response.status === 206 &&
      response.headers.get("content-range")?.startsWith(`bytes ${before}-`) === true;
    let receivedBytes = resumes ? before : 0;
    const length = response.headers.get("content-length");
    const totalBytes = length === null ? undefined : receivedBytes + Number(length);
    const file = await onDisk(path, () => open(path, resumes ? "a" : "w", 0o600));
    try {
      for await (const chunk of bodyOf(response)) {
        refresh();
        receivedBytes += chunk.length;
        if (receivedBytes > MAX_PROGRAM_BYTES) throw tooLarge(url, MAX_PROGRAM_BYTES);
        await onDisk(path, () => file.writeFile(chunk));
        onProgress?.({ receivedBytes, totalBytes });
      }
      await onDisk(path, () => file.sync());
    } finally {
      await file.close();
    }
    if (totalBytes !== undefined && receivedBytes < totalBytes) throw new Error("the connection ended early");
  }, signal);
}

type Reader = (response: Response, refresh: () => void) => Promise<void>;

/** Requests and reads; whatever fails on the way is told as what the user can do about it. */
async function read(
  url: string,
  headers: Record<string, string>,
  reader: Reader,
  signal: AbortSignal,
): Promise<void> {
  const stall = new AbortController();
  const expire = () => stall.abort(new Error(`nothing has come for ${STALL_MS} ms`));
  let timer = setTimeout(expire, STALL_MS);
  const refresh = () => {
    clearTimeout(timer);
    timer = setTimeout(expire, STALL_MS);
  };
  try {
    // Compressed on the way, neither lengths nor ranges would fit what is on disk.
    const all = { ...headers, "accept-encoding": "identity" };
    const response = await fetch(url, { headers: all, signal: AbortSignal.any([signal, stall.signal]) });
    if (!response.ok) {
      await response.body?.cancel();
      throw refused(url, response.status);
    }
    await reader(response, refresh);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof DaemonDownloadError) throw error;
    const reason = reasonOf(stall.signal.aborted ? stall.signal.reason : error);
    throw new DaemonDownloadError("unavailable", `Cannot download ${url}: ${reason}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** What went wrong, and what was behind it: Node.js says no more than `fetch failed` itself. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  return cause instanceof Error
    ? `${errorMessage(error)}: ${cause.message || cause.name}`
    : errorMessage(error);
}

/** Does `work` on the disk, whose failures have nothing to do with the network. */
async function onDisk<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw notKept(path, error);
  }
}

/** Why nothing can be kept at `path`: `resource_exhausted` for a full disk, else `failed_precondition`. */
export function notKept(path: string, error: unknown): DaemonDownloadError {
  const isFull = ["ENOSPC", "EDQUOT"].includes(String((error as { code?: unknown }).code));
  return new DaemonDownloadError(
    isFull ? "resource_exhausted" : "failed_precondition",
    `Cannot keep the downloaded agentanycast at ${path}: ${errorMessage(error)}. ${
      isFull ? "Free some space there" : "Let this user write there"
    }, or set XDG_CACHE_HOME to another folder`,
    { cause: error },
  );
}

function refused(url: string, status: number): DaemonDownloadError {
  if (status === 416) return new DaemonDownloadError("out_of_range", `Cannot go on with ${url}: HTTP 416`);
  const code = status === 404 || status === 410 ? "not_found" : "unavailable";
  return new DaemonDownloadError(code, `Cannot download ${url}: HTTP ${status}`);
}

function tooLarge(url: string, maxBytes: number): DaemonDownloadError {
  return new DaemonDownloadError(
    "resource_exhausted",
    `Cannot download ${url}: it has more than ${maxBytes} bytes`,
  );
}

function bodyOf(response: Response): AsyncIterable<Uint8Array> {
  return (response.body ?? new ReadableStream()) as ReadableStream<Uint8Array> & AsyncIterable<Uint8Array>;
}
