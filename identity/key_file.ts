import { Buffer } from "node:buffer";
import { type FileHandle, link, mkdir, open, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import { CodedError, type ErrorCode, errorMessage } from "../core/errors.ts";
import { createIdentity, type Identity, SEED_BYTES } from "./identity.ts";

/**
 * Start of a libp2p `PrivateKey` message: type Ed25519 (field 1 = 1), then 64 bytes of data (field 2), the seed and the public
 * key. https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md
 */
const LIBP2P_HEADER = Uint8Array.of(0x08, 0x01, 0x12, 0x40);

/** Longest key file. */
const KEY_FILE_BYTES = LIBP2P_HEADER.length + 2 * SEED_BYTES;

/** Bits of a file mode that give rights to the group and to others. */
const NOT_OWNER_BITS = 0o077;

/**
 * The identity in the key file at `path`, or a new one that is saved there first (0600, in folders made 0700). Several
 * processes that start at once get the same one. Takes a libp2p private key message (68 bytes, what is written), seed and
 * public key (64) or the seed (32).
 *
 * Throws `failed_precondition` for a file that others may use or that is no file, `data_loss` for a damaged one,
 * `permission_denied` or `unavailable` when it cannot be read or written. It never overwrites a file.
 */
export async function openIdentity(path: string): Promise<Identity> {
  try {
    return await loadIdentity(path) ?? await generateIdentity(path);
  } catch (error) {
    throw error instanceof CodedError ? error : toKeyFileError(error, path);
  }
}

async function loadIdentity(path: string): Promise<Identity | undefined> {
  const content = await readKeyFile(path);
  return content && parseKeyFile(content, path);
}

/** At most one byte more than a key file has; undefined when there is none. */
async function readKeyFile(path: string): Promise<Uint8Array | undefined> {
  try {
    // Before opening: to open a pipe would wait for its other end.
    if (!(await stat(path)).isFile()) throw notAFileError(path);
    return await withFile(open(path, "r"), async (file) => {
      await checkMode(file, path);
      const buffer = new Uint8Array(KEY_FILE_BYTES + 1);
      const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
      return buffer.subarray(0, bytesRead);
    });
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function checkMode(file: FileHandle, path: string): Promise<void> {
  if (process.platform === "win32") return;
  const mode = (await file.stat()).mode & 0o777;
  if ((mode & NOT_OWNER_BITS) === 0) return;
  throw new CodedError(
    "failed_precondition",
    `Cannot use the key file ${path}: others may read or write it (mode ${
      mode.toString(8).padStart(4, "0")
    }). ` +
      `Run \`chmod 600 ${path}\``,
    { details: { path } },
  );
}

/** What a key file holds: a libp2p private key message. */
export function encodeKeyFile({ seed, publicKey }: Pick<Identity, "seed" | "publicKey">): Uint8Array {
  return Buffer.concat([LIBP2P_HEADER, seed, publicKey]);
}

/** The identity in the bytes of a key file; `path` is for errors. @throws CodedError `data_loss`. */
export function parseKeyFile(content: Uint8Array, path: string): Identity {
  const identity = createIdentity(seedOf(content, path));
  const publicKey = content.length > SEED_BYTES ? content.subarray(-SEED_BYTES) : identity.publicKey;
  if (Buffer.compare(publicKey, identity.publicKey) === 0) return identity;
  throw damagedError(path, "its public key does not belong to its private key");
}

function seedOf(content: Uint8Array, path: string): Uint8Array {
  switch (content.length) {
    case SEED_BYTES:
    case 2 * SEED_BYTES:
      return content.subarray(0, SEED_BYTES);
    case KEY_FILE_BYTES: {
      const start = LIBP2P_HEADER.length;
      if (Buffer.compare(content.subarray(0, start), LIBP2P_HEADER) === 0) {
        return content.subarray(start, start + SEED_BYTES);
      }
      throw damagedError(path, "it is no Ed25519 private key in libp2p form");
    }
    default: {
      const found = content.length > KEY_FILE_BYTES ? `more than ${KEY_FILE_BYTES}` : content.length;
      throw damagedError(path, `it has ${found} bytes, a key file has 68, 64 or 32`);
    }
  }
}

/** Saves a new identity, or gives the one of a process that was faster. */
async function generateIdentity(path: string): Promise<Identity> {
  const identity = createIdentity(crypto.getRandomValues(new Uint8Array(SEED_BYTES)));
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await writeSynced(temporary, encodeKeyFile(identity));
    await link(temporary, path); // unlike a rename, fails when there is a file
  } catch (error) {
    const winner = errnoOf(error) === "EEXIST" ? await loadIdentity(path) : undefined;
    if (winner === undefined) throw error;
    return winner;
  } finally {
    await unlink(temporary).catch(() => {}); // not there when it could not be made
  }
  await syncDirectory(dirname(path));
  return identity;
}

async function writeSynced(path: string, content: Uint8Array): Promise<void> {
  await withFile(open(path, "wx", 0o600), async (file) => {
    await file.writeFile(content);
    await file.sync();
  });
}

/** Puts the name of a new file on disk; on Windows a folder cannot be opened for that. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  await withFile(open(path, "r"), (directory) => directory.sync());
}

async function withFile<T>(opening: Promise<FileHandle>, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await opening;
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

function notAFileError(path: string): CodedError {
  return new CodedError(
    "failed_precondition",
    `Cannot use the key file ${path}: it is no regular file. Give the path of a file, which is made when missing`,
    { details: { path } },
  );
}

function damagedError(path: string, state: string): CodedError {
  return new CodedError(
    "data_loss",
    `Cannot use the key file ${path}: ${state}. Restore it from a backup, ` +
      "or move it away to start with a NEW identity (another peer id)",
    { details: { path } },
  );
}

function toKeyFileError(error: unknown, path: string): CodedError {
  const denied = ["EACCES", "EPERM", "EROFS"].includes(errnoOf(error) ?? "");
  const [code, advice]: [ErrorCode, string] = denied
    ? ["permission_denied", "Let this user read it and write its folder"]
    : ["unavailable", "Check its folder and the disk"];
  return new CodedError(code, `Cannot use the key file ${path}: ${errorMessage(error)}. ${advice}`, {
    cause: error,
    details: { path },
  });
}

function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
