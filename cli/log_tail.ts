import type { Clock } from "../core/clock.ts";

/** The last lines of a log, and where its file ended when they were read. */
export interface LogTail {
  readonly lines: readonly string[];
  /** Tells a file from its successor; null where the system has no such number. */
  readonly inode: number | null;
  readonly endBytes: number;
}

/** How often a followed file is looked at, in milliseconds. */
const POLL_MS = 200;
/** Most bytes read at once. */
const CHUNK_BYTES = 64 * 1024;

/** The last `count` lines of the log at `path`, reaching back into `<path>.1`; undefined when there is none. */
export async function readLastLines(path: string, count: number): Promise<LogTail | undefined> {
  using file = await openIfThere(path);
  if (file === undefined) return undefined;
  const { ino, size } = await file.stat();
  const end = new Uint8Array(size);
  let endBytes = 0;
  while (endBytes < size) {
    const read = await file.read(end.subarray(endBytes));
    if (read === null) break;
    endBytes += read;
  }
  let lines = toLines(new TextDecoder().decode(end.subarray(0, endBytes)));
  if (lines.length < count) lines = [...toLines(await readIfThere(`${path}.1`)), ...lines];
  return { lines: count === 0 ? [] : lines.slice(-count), inode: ino, endBytes };
}

/** A place in a log. */
export interface LogPosition {
  readonly path: string;
  readonly inode: number | null;
  readonly offsetBytes: number;
}

/**
 * The lines added after `position`, also when the file is renamed and a new one begins, or when it does not exist yet. Ends
 * when `signal` fires.
 */
export async function* followFile(
  position: LogPosition,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): AsyncGenerator<string> {
  const { path } = position;
  let file = await openAt(position) ?? await openAt({ ...position, path: `${path}.1` }) ??
    await openIfThere(path);
  try {
    const reader = new LineReader();
    while (!signal.aborted) {
      const next = await openSuccessor(path, file); // before reading: nothing is added to the old one after it
      if (file !== undefined) yield* reader.read(file);
      if (next !== undefined) {
        file?.close();
        file = next;
        continue;
      }
      await clock.sleep(POLL_MS, signal).catch(() => {}); // ended by the signal, which the loop looks at
    }
  } finally {
    file?.close();
  }
}

/** Takes a growing file apart into lines. */
class LineReader {
  readonly #buffer = new Uint8Array(CHUNK_BYTES);
  readonly #decoder = new TextDecoder();
  #rest = "";

  async *read(file: Deno.FsFile): AsyncGenerator<string> {
    for (let read = await file.read(this.#buffer); read !== null; read = await file.read(this.#buffer)) {
      const text = this.#rest + this.#decoder.decode(this.#buffer.subarray(0, read), { stream: true });
      const lines = text.split("\n");
      this.#rest = lines.pop() ?? "";
      yield* lines;
    }
  }
}

/** The file of `position`, at its offset; undefined when another one is at its path. */
async function openAt({ path, inode, offsetBytes }: LogPosition): Promise<Deno.FsFile | undefined> {
  const file = await openIfThere(path);
  if (file === undefined) return undefined;
  const { ino, size } = await file.stat();
  if (ino === inode && size >= offsetBytes) {
    await file.seek(offsetBytes, Deno.SeekMode.Start);
    return file;
  }
  file.close();
  return undefined;
}

/** The file at `path` when it is another one than `file`. */
async function openSuccessor(
  path: string,
  file: Deno.FsFile | undefined,
): Promise<Deno.FsFile | undefined> {
  const found = await openIfThere(path);
  if (found === undefined || file === undefined) return found;
  const [before, now] = [await file.stat(), await found.stat()];
  if (before.ino !== now.ino) return found;
  found.close();
  return undefined;
}

async function openIfThere(path: string): Promise<Deno.FsFile | undefined> {
  try {
    return await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

function toLines(text: string): string[] {
  return text.split("\n").filter((line, i, all) => i < all.length - 1 || line !== "");
}
