import { createHash } from "node:crypto";
import { join, relative } from "node:path";
import type { Config } from "../core/config.ts";
import { CodedError } from "../core/errors.ts";
import { VERSION } from "../core/version.ts";
import { syncFolder, writeNewFile } from "../core/write_file.ts";
import { openIdentity } from "../identity/mod.ts";
import { copyStore, DATABASE_FILE } from "../kv/mod.ts";

/** What a backup says of itself. */
export interface Manifest {
  readonly format: 1;
  readonly version: string;
  readonly peerId: string;
  readonly createdAt: string;
  /** SHA-256 in hex of each file, by its path in the backup. */
  readonly files: Readonly<Record<string, string>>;
}

/** What was backed up or restored. */
export interface BackupResult {
  readonly folder: string;
  readonly peerId: string;
  readonly files: number;
  readonly bytes: number;
}

const MANIFEST = "manifest.json";
const KEY = "key";
const DATA = "data";
/** Of a home, what belongs to a running process or to nobody. */
const LEFT_OUT = [/^logs$/, /\.sock$/, /(^|\.)lock$/, /\.tmp$/];

/**
 * Copies key, configuration, store and artifacts into the new folder `folder` (0700), also while a daemon runs on the home.
 * It is there whole or not at all. Throws `already_exists`, `not_found`, `unavailable`.
 */
export async function backUpHome(config: Config, folder: string): Promise<BackupResult> {
  await refuseExisting(folder);
  const { peerId } = await existingIdentity(config.keyPath);
  const unfinished = `${folder}.${crypto.randomUUID()}.tmp`;
  await Deno.mkdir(join(unfinished, DATA), { recursive: true, mode: 0o700 });
  try {
    // The store first: what is streamed in later is then more than it knows of, not less.
    await copyStore(config.storePath, join(unfinished, DATA, DATABASE_FILE));
    await copyFile(config.keyPath, join(unfinished, KEY));
    const isElsewhere = (path: string) => path === config.storePath || path === config.keyPath;
    await copyFolder(config.home, unfinished, { leaveOut: isElsewhere });
    const files: Record<string, string> = {};
    let bytes = 0;
    for await (const path of filesOf(unfinished)) {
      const { hash, size } = await hashOf(path);
      files[relative(unfinished, path)] = hash;
      bytes += size;
    }
    const manifest: Manifest = {
      ...{ format: 1, version: VERSION, peerId, createdAt: new Date().toISOString(), files },
    };
    await writeNewFile(join(unfinished, MANIFEST), `${JSON.stringify(manifest, undefined, 2)}\n`);
    await Deno.rename(unfinished, folder);
    await syncFolder(join(folder, ".."));
    return { folder, peerId, files: Object.keys(files).length, bytes };
  } catch (error) {
    await Deno.remove(unfinished, { recursive: true });
    throw error;
  }
}

/**
 * Makes the home of `config` anew from a backup, once every file has proven to be what was backed up. Throws
 * `already_exists` (there is a key or a store), `not_found`, `data_loss` (a file is missing or changed).
 */
export async function restoreHome(config: Config, folder: string): Promise<BackupResult> {
  const { home, keyPath, storePath } = config;
  await refuseExisting(keyPath);
  await refuseExisting(join(storePath, DATABASE_FILE));
  const manifest = await readManifest(folder);
  for (const [path, expected] of Object.entries(manifest.files)) {
    const found = await hashOf(join(folder, path)).catch(() => undefined);
    if (found?.hash === expected) continue;
    throw new CodedError(
      "data_loss",
      `Cannot restore ${folder}: ${path} is ${found === undefined ? "missing" : "not what was backed up"}`,
    );
  }
  let bytes = 0;
  // The key last: with it the home is one.
  const paths = Object.keys(manifest.files).toSorted((a, b) => Number(a === KEY) - Number(b === KEY));
  for (const path of paths) {
    const target = path === KEY
      ? keyPath
      : path.startsWith(`${DATA}/`)
      ? join(storePath, path.slice(DATA.length + 1))
      : join(home, path);
    bytes += await copyFile(join(folder, path), target);
  }
  return { folder: home, peerId: manifest.peerId, files: paths.length, bytes };
}

async function existingIdentity(keyPath: string) {
  if (!await exists(keyPath)) {
    throw new CodedError(
      "not_found",
      `There is no home to back up: ${keyPath} does not exist; name it with --home`,
    );
  }
  return await openIdentity(keyPath);
}

async function readManifest(folder: string): Promise<Manifest> {
  let manifest: Manifest;
  try {
    manifest = JSON.parse(await Deno.readTextFile(join(folder, MANIFEST)));
  } catch (error) {
    throw new CodedError("not_found", `${folder} is no backup: its ${MANIFEST} cannot be read`, {
      cause: error,
    });
  }
  const names = Object.keys(manifest.files ?? {});
  const isSafe = names.every((name) => !name.startsWith("/") && !name.split(/[\\/]/).includes(".."));
  if (manifest.format === 1 && isSafe && names.includes(KEY)) return manifest;
  throw new CodedError(
    "data_loss",
    `${folder} is no backup that this version can restore: see its ${MANIFEST}`,
  );
}

async function refuseExisting(path: string): Promise<void> {
  if (!await exists(path)) return;
  throw new CodedError(
    "already_exists",
    `${path} is there already: nothing is overwritten; name another folder`,
  );
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function copyFolder(
  from: string,
  to: string,
  { leaveOut }: { leaveOut: (path: string) => boolean },
): Promise<void> {
  for await (const entry of Deno.readDir(from)) {
    const path = join(from, entry.name);
    if (leaveOut(path) || LEFT_OUT.some((pattern) => pattern.test(entry.name))) continue;
    if (entry.isDirectory) {
      await Deno.mkdir(join(to, entry.name), { recursive: true, mode: 0o700 });
      await copyFolder(path, join(to, entry.name), { leaveOut });
    } else if (entry.isFile) await copyFile(path, join(to, entry.name));
  }
}

/** Copies a file as the owner's alone, durably; one that has gone meanwhile is left out. Answers its bytes. */
async function copyFile(from: string, to: string): Promise<number> {
  await Deno.mkdir(join(to, ".."), { recursive: true, mode: 0o700 });
  let source: Deno.FsFile;
  try {
    source = await Deno.open(from);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
  using target = await Deno.open(to, { write: true, createNew: true, mode: 0o600 });
  await source.readable.pipeTo(target.writable, { preventClose: true });
  await target.sync();
  return (await target.stat()).size;
}

async function* filesOf(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* filesOf(join(folder, name));
    else yield join(folder, name);
  }
}

async function hashOf(path: string): Promise<{ hash: string; size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  const file = await Deno.open(path);
  for await (const chunk of file.readable) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { hash: hash.digest("hex"), size };
}
