import { createHash } from "node:crypto";
import { join } from "node:path";
import { CodedError, errorMessage } from "../core/errors.ts";
import { isJsonObject, type JsonObject } from "../core/json.ts";
import { writeFileDurably, writeNewFile } from "../core/write_file.ts";
import { type CredentialClaims, MAX_CREDENTIAL_BYTES, parseCredential } from "./vc/credential.ts";
import { issueCredential, type Issuer, type NewCredential } from "./vc/issue_credential.ts";
import { MIN_STATUS_ENTRIES, setStatus } from "./vc/status_list.ts";

/** A credential that this node has issued. */
export interface IssuedCredential {
  readonly claims: CredentialClaims;
  /** Its entry in the list of what is revoked. */
  readonly index: number;
  /** In milliseconds since the Unix epoch; undefined while it is not. */
  readonly revokedAtMs: number | undefined;
}

/** Most credentials about this node's agent: they travel with its card. */
const MAX_HELD = 16;
/** How often a free entry is looked for. */
const MAX_TRIES = 100;

/**
 * The credentials of a home: those that this node holds about its own agent, and those that it has issued to others. Each is
 * a file of its own, so that several programs may use the folder at once. Nothing is kept open.
 */
export class CredentialFolder {
  readonly #held: string;
  readonly #issued: string;

  constructor(home: string) {
    this.#held = join(home, "credentials", "held");
    this.#issued = join(home, "credentials", "issued");
  }

  /** The credentials about this node's agent, as text, in a fixed order. Files that are none are left out. */
  async held(): Promise<string[]> {
    const texts: string[] = [];
    for (const name of await namesIn(this.#held)) {
      const text = await readCredentialFile(join(this.#held, name));
      if (text !== undefined && texts.length < MAX_HELD) texts.push(text);
    }
    return texts;
  }

  /** Keeps a credential about this node's agent; one that is there already is not kept twice. @throws CodedError. */
  async hold(text: string): Promise<CredentialClaims> {
    const claims = parseCredential(text);
    const compact = JSON.stringify(claims.document);
    if ((await this.held()).length >= MAX_HELD) {
      throw new CodedError(
        "resource_exhausted",
        `Cannot keep the credential: a node holds ${MAX_HELD} at most`,
      );
    }
    await makeFolder(this.#held);
    await writeFileDurably(join(this.#held, fileNameOf(compact)), compact);
    return claims;
  }

  /** Removes a held credential by its id; false when there is none. */
  async drop(id: string): Promise<boolean> {
    const found = (await this.held()).find((text) => parseCredential(text).id === id);
    if (found === undefined) return false;
    await Deno.remove(join(this.#held, fileNameOf(found)));
    return true;
  }

  /** Issues a credential and keeps it with an entry of its own in the list of what is revoked. */
  async issue(
    credential: Omit<NewCredential, "status">,
    issuer: Issuer,
    { statusListUrl }: { statusListUrl: string | undefined },
  ): Promise<JsonObject> {
    await makeFolder(this.#issued);
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      // At random, so that the list does not tell who got what when.
      const index = crypto.getRandomValues(new Uint32Array(1)).map((one) => one % MIN_STATUS_ENTRIES)[0] ?? 0;
      const status = statusListUrl === undefined
        ? undefined
        : { purpose: "revocation" as const, index, listUrl: statusListUrl };
      const document = issueCredential({ ...credential, status }, issuer);
      parseCredential(JSON.stringify(document)); // whoever gets it has to be able to read it
      try {
        await writeNewFile(join(this.#issued, `${index}.json`), JSON.stringify({ document }));
        return document;
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      }
    }
    throw new CodedError(
      "resource_exhausted",
      `This node has issued nearly ${MIN_STATUS_ENTRIES} credentials`,
    );
  }

  /** The credentials that this node has issued, the newest last. Throws `data_loss` for a damaged file. */
  async issued(): Promise<IssuedCredential[]> {
    const found: IssuedCredential[] = [];
    for (const name of await namesIn(this.#issued)) found.push(await this.#read(name));
    return found.sort((a, b) => (a.claims.validFromMs ?? 0) - (b.claims.validFromMs ?? 0));
  }

  /** Marks an issued credential as revoked, for good. @throws CodedError `not_found`. */
  async revoke(id: string, nowMs: number): Promise<IssuedCredential> {
    const found = (await this.issued()).find(({ claims }) => claims.id === id);
    if (found === undefined) {
      throw new CodedError("not_found", `This node has issued no credential ${id}: see \`credential list\``);
    }
    if (found.revokedAtMs !== undefined) return found;
    const { claims, index } = found;
    const text = JSON.stringify({ document: claims.document, revokedAtMs: nowMs });
    await writeFileDurably(join(this.#issued, `${index}.json`), text);
    return { ...found, revokedAtMs: nowMs };
  }

  /** Something that differs once a credential was issued or revoked since. */
  async issuedState(): Promise<string> {
    try {
      const { mtime } = await Deno.stat(this.#issued);
      const changedAtMs = mtime?.getTime() ?? 0;
      // A change in the same moment could not be told from this one.
      return Date.now() - changedAtMs > 2_000 ? String(changedAtMs) : crypto.randomUUID();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  }

  /** The bits of the list of what is revoked. */
  async statusBits(): Promise<Uint8Array> {
    const bits = new Uint8Array(MIN_STATUS_ENTRIES / 8);
    for (const { index, revokedAtMs } of await this.issued()) {
      if (revokedAtMs !== undefined) setStatus(bits, index);
    }
    return bits;
  }

  async #read(name: string): Promise<IssuedCredential> {
    const path = join(this.#issued, name);
    try {
      const file: unknown = JSON.parse(await Deno.readTextFile(path));
      if (!isJsonObject(file)) throw new SyntaxError("it is no JSON object");
      const { document, revokedAtMs } = file;
      return {
        claims: parseCredential(JSON.stringify(document)),
        index: Number(name.slice(0, -".json".length)),
        revokedAtMs: typeof revokedAtMs === "number" ? revokedAtMs : undefined,
      };
    } catch (cause) {
      throw new CodedError(
        "data_loss",
        `Cannot read the issued credential ${path}: ${
          errorMessage(cause)
        }. Restore it from a backup, or remove it`,
        { cause },
      );
    }
  }
}

/** Names of the credential files in a folder, in order; none when it is not there. */
async function namesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) {
      if (isFile && name.endsWith(".json")) names.push(name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.sort();
}

async function readCredentialFile(path: string): Promise<string | undefined> {
  const { size } = await Deno.stat(path);
  if (size > MAX_CREDENTIAL_BYTES) return undefined;
  try {
    const text = await Deno.readTextFile(path);
    parseCredential(text);
    return text;
  } catch (error) {
    if (error instanceof CodedError) return undefined; // put there by somebody else
    throw error;
  }
}

function fileNameOf(text: string): string {
  return `${createHash("sha256").update(text).digest("hex").slice(0, 32)}.json`;
}

async function makeFolder(path: string): Promise<void> {
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
}
