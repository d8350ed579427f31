import { dirname } from "node:path";
import { applyEdits, modify, parse, type ParseError } from "jsonc-parser";
import { CodedError, errorMessage } from "../core/errors.ts";
import { isJsonObject, type JsonObject } from "../core/json.ts";

/** What a change of a file did. */
export interface FileChange {
  readonly changed: boolean;
  /** Copy of the file as it was; undefined when there was none, or nothing changed. */
  readonly backup?: string;
}

/** Where a server stands in the file of an assistant. */
export type ServerPlace = readonly [key: string, name: string];

/** The text of `text` with the server at `place`; comments and everything else stay. @throws CodedError `failed_precondition`. */
export function withServer(text: string, place: ServerPlace, server: JsonObject): string {
  return edited(text, place, server);
}

/** The text of `text` without the server at `place`. @throws CodedError `failed_precondition`. */
export function withoutServer(text: string, place: ServerPlace): string {
  const servers = parseObject(text)[place[0]];
  return isJsonObject(servers) && place[1] in servers ? edited(text, place, undefined) : text;
}

/** Writes what `change` makes of the file, keeping a copy of what was there. @throws CodedError `failed_precondition`, `permission_denied`. */
export async function changeFile(path: string, change: (text: string) => string): Promise<FileChange> {
  const before = await readIfThere(path);
  let after: string;
  try {
    after = change(before ?? "");
  } catch (error) {
    throw new CodedError(
      "failed_precondition",
      `Cannot change ${path}: ${
        errorMessage(error)
      }. Nothing was written; --print shows what to put there yourself`,
      { cause: error },
    );
  }
  if (after === (before ?? "")) return { changed: false };
  const folder = dirname(path);
  await Deno.mkdir(folder, { recursive: true });
  const backup = before === undefined ? undefined : await writeBackup(path, before);
  const { mode } = before === undefined ? { mode: null } : await Deno.stat(path);
  const target = await Deno.realPath(path).catch(() => path); // a link stays a link
  const draft = `${target}.${crypto.randomUUID().slice(0, 8)}`;
  await Deno.writeTextFile(draft, after, { createNew: true, mode: mode === null ? 0o600 : mode & 0o777 });
  await Deno.rename(draft, target);
  return { changed: true, ...(backup !== undefined && { backup }) };
}

function edited(text: string, place: ServerPlace, value: JsonObject | undefined): string {
  const source = text.trim() === "" ? "{}\n" : text;
  const servers = parseObject(source)[place[0]];
  if (servers !== undefined && !isJsonObject(servers)) {
    throw new SyntaxError(`"${place[0]}" in it is no object`);
  }
  const indent = /^([ \t]+)\S/m.exec(source)?.[1] ?? "  ";
  const formattingOptions = { insertSpaces: !indent.startsWith("\t"), tabSize: indent.length, eol: "\n" };
  const result = applyEdits(source, modify(source, [...place], value, { formattingOptions }));
  parseObject(result);
  return result;
}

/** @throws SyntaxError for what is no JSON object, comments and last commas aside. */
function parseObject(text: string): JsonObject {
  if (text.trim() === "") return {};
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first !== undefined) {
    const line = text.slice(0, first.offset).split("\n").length;
    throw new SyntaxError(`line ${line} of it is no JSON`);
  }
  if (!isJsonObject(value)) throw new SyntaxError("it is no JSON object");
  return value;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new CodedError("permission_denied", `Cannot read ${path}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

/** A copy beside the file, under a name that is free. */
async function writeBackup(path: string, text: string): Promise<string> {
  for (let i = 1;; i++) {
    const backup = `${path}.backup-${i}`;
    try {
      await Deno.writeTextFile(backup, text, { createNew: true, mode: 0o600 });
      return backup;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}
