import { dirname, resolve } from "node:path";
import { parse as parseToml, TomlError } from "smol-toml";
import { CodedError, errorMessage } from "./errors.ts";
import { isJsonObject, type JsonObject } from "./json.ts";

/** What this node shows to one origin. Never to be logged. */
export interface OriginCredentials {
  /** Headers of each request: `authorization` and others. */
  readonly headers: Readonly<Record<string, string>>;
  /** PEM texts for TLS: authorities to trust instead of the usual ones, and what to show. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

const KEYS = ["bearer", "username", "password", "headers", "ca", "cert", "key"];
/** Bits of a file mode that give rights to the group and to others. */
const NOT_OWNER_BITS = 0o077;

/**
 * The credentials that the file at `path` (TOML, a table per origin) holds; none when there is no such file.
 * @throws CodedError `failed_precondition` when others may read it, `invalid_argument` when it cannot be understood.
 */
export async function readOriginCredentials(path: string): Promise<ReadonlyMap<string, OriginCredentials>> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Map();
    throw new CodedError(
      "invalid_argument",
      `Cannot read the credentials file ${path}: ${errorMessage(error)}`,
      {
        cause: error,
      },
    );
  }
  await checkMode(path);
  const read = (file: string) => Deno.readTextFile(resolve(dirname(path), file));
  const entries = await Promise.all(
    Object.entries(parse(path, text)).map(async ([origin, table]) => {
      try {
        return [parseOrigin(origin), await toCredentials(table, read)] as const;
      } catch (error) {
        throw new CodedError("invalid_argument", `${path}: "${origin}": ${errorMessage(error)}`, {
          cause: error,
        });
      }
    }),
  );
  return new Map(entries);
}

async function checkMode(path: string): Promise<void> {
  const mode = ((await Deno.stat(path)).mode ?? 0) & 0o777;
  if ((mode & NOT_OWNER_BITS) === 0) return;
  const octal = mode.toString(8).padStart(4, "0");
  throw new CodedError(
    "failed_precondition",
    `Cannot use the credentials file ${path}: others may read or write it (mode ${octal}): run chmod 600 ${path}`,
  );
}

function parse(path: string, text: string): Record<string, unknown> {
  try {
    return parseToml(text);
  } catch (error) {
    const where = error instanceof TomlError ? `${path}:${error.line}:${error.column}` : path;
    // The message of the parser repeats the line, which may hold a secret.
    throw new CodedError("invalid_argument", `${where}: it is not TOML`);
  }
}

function parseOrigin(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== "/" || url.search !== "") {
    throw new SyntaxError("must be an origin such as https://agent.example");
  }
  return url.origin;
}

async function toCredentials(
  table: unknown,
  read: (file: string) => Promise<string>,
): Promise<OriginCredentials> {
  if (!isJsonObject(table)) throw new SyntaxError(`must be a table with some of ${KEYS.join(", ")}`);
  const unknown = Object.keys(table).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw new SyntaxError(`unknown key "${unknown}": known are ${KEYS.join(", ")}`);
  const files = await Promise.all(
    (["ca", "cert", "key"] as const).flatMap((key) => {
      const file = textAt(table, key);
      return file === undefined ? [] : [read(file).then((pem) => [key, pem] as const)];
    }),
  );
  return {
    headers: { ...authorization(table), ...ownHeaders(table) },
    ...(files.length > 0 && { tls: Object.fromEntries(files) }),
  };
}

function authorization(table: JsonObject): Record<string, string> {
  const [bearer, username, password] = ["bearer", "username", "password"].map((key) => textAt(table, key));
  if (bearer !== undefined && username !== undefined) {
    throw new SyntaxError("bearer and username exclude each other");
  }
  if (bearer !== undefined) return { authorization: `Bearer ${bearer}` };
  if ((username === undefined) !== (password === undefined)) {
    throw new SyntaxError("username and password go together");
  }
  if (username === undefined) return {};
  const bytes = new TextEncoder().encode(`${username}:${password}`);
  return { authorization: `Basic ${btoa(String.fromCharCode(...bytes))}` };
}

function ownHeaders({ headers = {} }: JsonObject): Record<string, string> {
  if (!isJsonObject(headers)) throw new SyntaxError("headers must be a table of texts");
  return Object.fromEntries(
    Object.keys(headers).map((name) => {
      const value = textAt(headers, name) ?? "";
      new Headers([[name, value]]); // throws for what is no header
      return [name.toLowerCase(), value];
    }),
  );
}

function textAt(table: JsonObject, key: string): string | undefined {
  const value = table[key];
  if (value === undefined) return undefined;
  if (typeof value !== "string" || value === "") {
    throw new SyntaxError(`${key} must be a text that is not empty`);
  }
  return value;
}
