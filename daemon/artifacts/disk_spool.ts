import { createHash } from "node:crypto";
import { join } from "node:path";
import type { ArtifactSpool, SpoolFile, StreamStart } from "../../a2a/mod.ts";
import type { Logger } from "../../core/log.ts";
import { decodeEntries, ENTRY_BYTES } from "./chunk_index.ts";
import { toDiskError } from "./disk_error.ts";
import { diskBytes, DiskSpoolFile, type SpoolLength, type SpoolPaths } from "./disk_spool_file.ts";
import { readSidecar, type Sidecar, syncFolder, writeSidecar } from "./sidecar.ts";
import { type SpoolBounds, SpoolRoom } from "./spool_room.ts";

const GIB = 1024 ** 3;
const SIDECAR_SUFFIX = ".json";
const PAGE_BYTES = 64 * 1024;

export interface DiskSpoolDeps {
  /** The folder of all artifacts; made when it is missing. */
  folder: string;
  logger: Logger;
  /** Whether the node still has a task. */
  knowsTask: (taskId: string) => Promise<boolean>;
}

/**
 * Artifacts in a folder of this node, one folder per task. Names on disk are hashes: a peer chooses none. Files are 0600 in folders
 * of 0700.
 */
export class DiskSpool implements ArtifactSpool {
  readonly #folder: string;
  readonly #room: SpoolRoom;
  /** What is in use. */
  readonly #files = new Map<string, DiskSpoolFile>();
  /** Tasks that have a folder: of the others nothing has to be looked for. */
  readonly #tasks = new Set<string>();

  private constructor(folder: string, bounds: SpoolBounds) {
    this.#folder = folder;
    this.#room = new SpoolRoom(bounds);
  }

  /** Makes the folder, removes what belongs to no task any more and counts the rest. Throws `unavailable` or `resource_exhausted`. */
  static async open(deps: DiskSpoolDeps, bounds: Partial<SpoolBounds> = {}): Promise<DiskSpool> {
    const spool = new DiskSpool(deps.folder, {
      maxArtifactBytes: 4 * GIB,
      maxTotalBytes: 20 * GIB,
      ...bounds,
    });
    try {
      await Deno.mkdir(deps.folder, { recursive: true, mode: 0o700 });
      await spool.#sweep(deps);
    } catch (error) {
      throw toDiskError(error);
    }
    return spool;
  }

  /** Bytes on disk. */
  get usedBytes(): number {
    return this.#room.usedBytes;
  }

  async create(start: StreamStart, streamId: string): Promise<SpoolFile> {
    const folder = this.#folderOf(start.taskId);
    const paths = pathsOf(folder, hashOf(start.artifactId));
    try {
      const earlier = this.#files.get(paths.data) ?? (await this.#open(paths));
      await earlier?.remove();
      await removeAll(paths);
      this.#tasks.add(start.taskId);
      await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
      await syncFolder(this.#folder);
      for (const path of [paths.data, paths.index]) {
        (await Deno.open(path, { write: true, createNew: true, mode: 0o600 })).close();
      }
      const sidecar: Sidecar = { streamId, start, sealed: undefined };
      await writeSidecar(paths.sidecar, sidecar);
      return this.#keep(paths, { sidecar, length: { chunks: 0, bytes: 0 } });
    } catch (error) {
      throw toDiskError(error);
    }
  }

  has(taskId: string): boolean {
    return this.#tasks.has(taskId);
  }

  async load(taskId: string): Promise<readonly SpoolFile[]> {
    const folder = this.#folderOf(taskId);
    const files: SpoolFile[] = [];
    if (!this.has(taskId)) return files;
    try {
      for (const name of await namesIn(folder)) {
        if (!name.endsWith(SIDECAR_SUFFIX)) continue;
        const paths = pathsOf(folder, name.slice(0, -SIDECAR_SUFFIX.length));
        const file = this.#files.get(paths.data) ?? await this.#open(paths);
        if (file?.start.taskId === taskId) files.push(file);
      }
    } catch (error) {
      throw toDiskError(error);
    }
    return files;
  }

  async removeTask(taskId: string): Promise<void> {
    const folder = this.#folderOf(taskId);
    for (const file of await this.load(taskId)) await file.remove();
    if (!this.has(taskId)) return;
    await removeFolder(folder);
    this.#tasks.delete(taskId);
  }

  /** The artifact at `paths`, shortened to its last whole chunk; undefined when it is none, which is then removed. */
  async #open(paths: SpoolPaths): Promise<DiskSpoolFile | undefined> {
    const counted = await sizeOf(paths);
    const sidecar = await readSidecar(paths.sidecar);
    const length = sidecar && await durableLength(paths);
    const { sealed } = sidecar ?? {};
    const damaged = sealed !== undefined &&
      (sealed.chunks !== length?.chunks || sealed.bytes !== length?.bytes);
    if (sidecar === undefined || length === undefined || damaged) {
      await removeAll(paths);
      this.#room.release(counted);
      return undefined;
    }
    if (sealed === undefined) {
      await Deno.truncate(paths.data, length.bytes);
      await Deno.truncate(paths.index, length.chunks * ENTRY_BYTES);
    }
    this.#room.release(counted - diskBytes(length));
    return this.#keep(paths, { sidecar, length });
  }

  #keep(paths: SpoolPaths, { sidecar, length }: { sidecar: Sidecar; length: SpoolLength }): DiskSpoolFile {
    const file: DiskSpoolFile = new DiskSpoolFile(sidecar, {
      paths,
      room: this.#room,
      length,
      onClosed: () => {
        if (this.#files.get(paths.data) === file) this.#files.delete(paths.data);
      },
    });
    this.#files.set(paths.data, file);
    return file;
  }

  async #sweep({ knowsTask, logger }: DiskSpoolDeps): Promise<void> {
    for (const name of await namesIn(this.#folder)) {
      const folder = join(this.#folder, name);
      const names = await namesIn(folder);
      const taskId = await taskOf(folder, names);
      if (taskId === undefined || hashOf(taskId) !== name || !await knowsTask(taskId)) {
        logger.info("Artifacts of a task that is gone are removed", { taskId });
        await removeFolder(folder);
        continue;
      }
      this.#tasks.add(taskId);
      for (const one of names.filter((one) => one.endsWith(SIDECAR_SUFFIX))) {
        this.#room.add(await sizeOf(pathsOf(folder, one.slice(0, -SIDECAR_SUFFIX.length))));
      }
    }
  }

  #folderOf(taskId: string): string {
    return join(this.#folder, hashOf(taskId));
  }
}

function hashOf(id: string): string {
  return createHash("sha256").update(id).digest("hex").slice(0, 40);
}

function pathsOf(folder: string, name: string): SpoolPaths {
  const base = join(folder, name);
  return { data: `${base}.data`, index: `${base}.index`, sidecar: `${base}${SIDECAR_SUFFIX}` };
}

async function taskOf(folder: string, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    const sidecar = name.endsWith(SIDECAR_SUFFIX) ? await readSidecar(join(folder, name)) : undefined;
    if (sidecar !== undefined) return sidecar.start.taskId;
  }
  return undefined;
}

/** The chunks that are whole: in the index, and with all their bytes. */
async function durableLength(paths: SpoolPaths): Promise<SpoolLength | undefined> {
  try {
    const { size } = await Deno.stat(paths.data);
    using index = await Deno.open(paths.index);
    const page = new Uint8Array(PAGE_BYTES);
    let [chunks, bytes, held] = [0, 0, 0];
    while (true) {
      const count = await index.read(page.subarray(held));
      if (count === null) return { chunks, bytes };
      held += count;
      const entries = decodeEntries(page.subarray(0, held));
      for (const { length } of entries) {
        if (bytes + length > size) return { chunks, bytes };
        chunks++;
        bytes += length;
      }
      if (entries.length < Math.floor(held / ENTRY_BYTES)) return { chunks, bytes };
      page.copyWithin(0, entries.length * ENTRY_BYTES, held);
      held -= entries.length * ENTRY_BYTES;
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function sizeOf(paths: SpoolPaths): Promise<number> {
  let bytes = 0;
  for (const path of [paths.data, paths.index]) {
    try {
      bytes += (await Deno.stat(path)).size;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return bytes;
}

async function removeAll(paths: SpoolPaths): Promise<void> {
  for (const path of [paths.sidecar, paths.index, paths.data]) {
    try {
      await Deno.remove(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

async function removeFolder(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw toDiskError(error);
  }
}

/** The names in a folder, in order; none when it is not there or no folder. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    const names: string[] = [];
    for await (const { name } of Deno.readDir(folder)) names.push(name);
    return names.sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return [];
    throw error;
  }
}
