import { join } from "node:path";

/** An assistant that starts MCP servers by a file of its own. */
export interface McpClient {
  /** How it is called on the command line. */
  readonly id: string;
  readonly title: string;
  /** The file, for a user of this system. */
  readonly file: (where: UserFolders) => string;
  /** The key below which servers are listed. */
  readonly key: "mcpServers" | "servers";
  /** What it wants besides command, arguments and environment. */
  readonly extra?: Readonly<Record<string, string>>;
  /** What the user does for it to take effect. */
  readonly then: string;
}

/** Where programs keep the settings of a user. */
export interface UserFolders {
  readonly os: typeof Deno.build.os;
  /** The user's home directory. */
  readonly home: string;
  /** `%APPDATA%` on Windows. */
  readonly appData?: string | undefined;
  /** `$XDG_CONFIG_HOME` elsewhere. */
  readonly xdgConfig?: string | undefined;
}

/** The folder of programs' settings, by the custom of the system. */
function settingsFolder({ os, home, appData, xdgConfig }: UserFolders): string {
  if (os === "darwin") return join(home, "Library", "Application Support");
  if (os === "windows") return appData || join(home, "AppData", "Roaming");
  return xdgConfig || join(home, ".config");
}

/** The assistants whose files are known. */
export const MCP_CLIENTS: readonly McpClient[] = [
  {
    id: "claude-desktop",
    title: "Claude Desktop",
    file: (where) => join(settingsFolder(where), "Claude", "claude_desktop_config.json"),
    key: "mcpServers",
    then: "Quit Claude Desktop and start it again",
  },
  {
    id: "claude-code",
    title: "Claude Code",
    file: ({ home }) => join(home, ".claude.json"),
    key: "mcpServers",
    extra: { type: "stdio" },
    then: "Start a new session of Claude Code; /mcp shows it",
  },
  {
    id: "cursor",
    title: "Cursor",
    file: ({ home }) => join(home, ".cursor", "mcp.json"),
    key: "mcpServers",
    then: "Look below Settings, MCP in Cursor: it is started there",
  },
  {
    id: "vscode",
    title: "VS Code",
    file: (where) => join(settingsFolder(where), "Code", "User", "mcp.json"),
    key: "servers",
    extra: { type: "stdio" },
    then: "Run `MCP: List Servers` in VS Code and start it",
  },
  {
    id: "windsurf",
    title: "Windsurf",
    file: ({ home }) => join(home, ".codeium", "windsurf", "mcp_config.json"),
    key: "mcpServers",
    then: "Refresh the list of plugins in Windsurf's Cascade panel",
  },
  {
    id: "gemini",
    title: "Gemini CLI",
    file: ({ home }) => join(home, ".gemini", "settings.json"),
    key: "mcpServers",
    then: "Start Gemini CLI again; /mcp shows it",
  },
];
