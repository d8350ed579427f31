import { CodedError } from "../../core/errors.ts";

/** An MCP server: a program that speaks on its standard streams, or a URL. */
export type ServerAddress =
  | { readonly kind: "command"; readonly command: string; readonly args: readonly string[] }
  | { readonly kind: "url"; readonly url: URL; readonly headers: Readonly<Record<string, string>> };

/**
 * The server that `words` name: a URL as the only word, else a command. `headers` (`name: value`) go with every request to a URL.
 * @throws CodedError `invalid_argument`.
 */
export function toServerAddress(
  words: readonly string[],
  { headers = [] }: { headers?: readonly string[] } = {},
): ServerAddress {
  const [first = "", ...args] = words;
  if (first === "") {
    throw new CodedError("invalid_argument", "Name the MCP server: a command with its arguments, or a URL");
  }
  const isUrl = /^https?:\/\//i.test(first);
  if (!isUrl && headers.length > 0) {
    throw new CodedError(
      "invalid_argument",
      "Headers go to a URL; a command is given its secrets by its environment",
    );
  }
  if (!isUrl) return { kind: "command", command: first, args };
  if (args.length > 0 || !URL.canParse(first)) {
    throw new CodedError(
      "invalid_argument",
      `"${words.join(" ")}" is no URL of an MCP server: name it alone`,
    );
  }
  return { kind: "url", url: new URL(first), headers: Object.fromEntries(headers.map(toHeader)) };
}

function toHeader(line: string): [name: string, value: string] {
  const [, name, value] = /^([\w-]+):\s*(.+)$/.exec(line) ?? [];
  if (name !== undefined && value !== undefined) return [name, value];
  throw new CodedError("invalid_argument", "A header must be written as 'name: value'");
}
