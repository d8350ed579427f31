import { count, duration, flag, list, listenAddress, optionalPath, type Setting } from "../setting.ts";

/** `[mcp]`: this node's network for assistants, and an MCP server as its agent. */
export const MCP_SETTINGS = {
  enabled: flag(false, "serve MCP over HTTP"),
  listen: listenAddress("127.0.0.1:3000", "host:port of MCP over HTTP"),
  stdio: flag(false, "serve MCP on stdin and stdout too; ends with its client", {
    flag: "mcp",
    toml: null,
    env: null,
  }),
  tokensFile: optionalPath("file with a line name:token for each caller of MCP over HTTP (mode 0600)"),
  allowedHosts: list([], "host names under which MCP is called, beside those of the loopback"),
  allowedOrigins: list([], "host names of web pages that may call MCP, beside those of the loopback"),
  tlsCert: optionalPath("certificate (PEM) of MCP over HTTP"),
  tlsKey: optionalPath("key (PEM) of MCP over HTTP"),
  maxSessions: count(100, "sessions of MCP over HTTP open at once"),
  sessionIdleMs: duration(30 * 60_000, "how long such a session may be idle"),
  proxy: proxySetting(),
};

/** An MCP server that becomes this node's agent: the words of its command, or its URL as the only one; none for no proxy. */
function proxySetting(): Setting<readonly string[]> {
  return {
    arity: "value",
    help:
      'MCP server that becomes the agent: a URL, a command without quotes, or a JSON array ["command", "argument"]',
    schema: { type: ["string", "array"], items: { type: "string" } },
    parse: parseServerCommand,
    byDefault: [],
    names: { flag: "mcp-proxy" },
  };
}

/**
 * The words of a command, none for no command: of an array as they are, of a text without quotes between the blanks. Throws `SyntaxError` for a text
 * that a shell would read otherwise than we do.
 */
export function parseServerCommand(raw: unknown): readonly string[] {
  const words = typeof raw === "string" && !raw.trimStart().startsWith("[") ? splitWords(raw) : toWords(raw);
  if (words[0] === "") throw new SyntaxError("must name a command or a URL");
  return words;
}

function splitWords(command: string): string[] {
  if (/["'\\`$]/.test(command)) {
    throw new SyntaxError(
      'must have no quotes, backslashes or variables: write it as a JSON array, such as ["node", "my server.js"]',
    );
  }
  return command.trim().split(/\s+/);
}

function toWords(raw: unknown): readonly string[] {
  let words: unknown;
  try {
    words = typeof raw === "string" ? JSON.parse(raw) : raw;
  } catch {
    throw new SyntaxError("must be a JSON array of texts");
  }
  if (Array.isArray(words) && words.every((word) => typeof word === "string")) return words;
  throw new SyntaxError("must be an array of texts");
}
