import { CodedError } from "../../core/errors.ts";

/** An MCP server: a program that speaks on its standard streams, or a URL. */
export type ServerAddress =
  | { readonly kind: "command"; readonly command: string; readonly args: readonly string[] }
  | { readonly kind: "url"; readonly url: URL };

/** The server that `words` name: a URL as the only word, else a command. @throws CodedError `invalid_argument`. */
export function toServerAddress(words: readonly string[]): ServerAddress {
  const [first = "", ...args] = words;
  if (first === "") {
    throw new CodedError("invalid_argument", "Name the MCP server: a command with its arguments, or a URL");
  }
  if (!/^https?:\/\//i.test(first)) return { kind: "command", command: first, args };
  if (args.length > 0 || !URL.canParse(first)) {
    throw new CodedError(
      "invalid_argument",
      `"${words.join(" ")}" is no URL of an MCP server: name it alone`,
    );
  }
  return { kind: "url", url: new URL(first) };
}
