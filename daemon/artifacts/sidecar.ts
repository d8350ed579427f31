import { dirname } from "node:path";
import type { StreamStart } from "../../a2a/mod.ts";

/** What is known of an artifact on disk besides its bytes. */
export interface Sidecar {
  readonly streamId: string;
  readonly start: StreamStart;
  /** Set once it is whole. */
  readonly sealed: { readonly sha256: string; readonly chunks: number; readonly bytes: number } | undefined;
}

const VERSION = 1;

/** Writes the sidecar in one step, durably. */
export async function writeSidecar(path: string, { streamId, start, sealed }: Sidecar): Promise<void> {
  const text = JSON.stringify({ version: VERSION, streamId, start, sealed });
  const temporary = `${path}.new`;
  {
    using file = await Deno.open(temporary, { write: true, create: true, truncate: true, mode: 0o600 });
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    await file.sync();
  }
  await Deno.rename(temporary, path);
  await syncFolder(dirname(path));
}

/** The sidecar at `path`; undefined when it is not there or not one that this version understands. */
export async function readSidecar(path: string): Promise<Sidecar | undefined> {
  try {
    const value: unknown = JSON.parse(await Deno.readTextFile(path));
    return isSidecar(value)
      ? { streamId: value.streamId, start: value.start, sealed: value.sealed }
      : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Makes the names in a folder durable, where the system can. */
export async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path);
  await folder.sync();
}

function isSidecar(value: unknown): value is Sidecar {
  if (!isObject(value) || value.version !== VERSION || typeof value.streamId !== "string") return false;
  const { start, sealed } = value;
  if (!isObject(start) || start.kind !== "start" || !isObject(start.metadata)) return false;
  const texts = [start.taskId, start.artifactId, start.artifactName, start.mediaType];
  const numbers = [start.totalChunks, start.totalBytes];
  if (!texts.every((one) => typeof one === "string") || !numbers.every(Number.isSafeInteger)) return false;
  if (sealed === undefined) return true;
  return isObject(sealed) && typeof sealed.sha256 === "string" &&
    [sealed.chunks, sealed.bytes].every(Number.isSafeInteger);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
