import { type Command, Option } from "commander";
import { MCP_CLIENTS } from "../mcp_clients.ts";
import { collect } from "../settings.ts";
import type { Verb } from "../verb.ts";

function addTransport(command: Command): void {
  const transport = new Option("--transport <kind>", "how clients reach it").choices(["stdio", "http"]);
  const listen = new Option(
    "--listen <host:port>",
    "where it is served over HTTP (default: the setting mcp.listen)",
  );
  listen.attributeName = () => "mcpListen"; // the setting; elsewhere --listen is where peers are listened for
  command.addOption(transport.default("stdio")).addOption(listen);
}

function addPlace(command: Command): void {
  command
    .option("--name <name>", "what the server is called there", "agentanycast")
    .option("--file <path>", "another file than the assistant's own, such as that of a project");
}

const CLIENT = ["<client>", MCP_CLIENTS.map(({ id }) => id).join(", ")] as const;

/** The verbs about the Model Context Protocol. */
export const MCP_VERBS: readonly Verb[] = [
  {
    path: "mcp",
    summary: "serve the agent network to an AI assistant over MCP",
    configure: addTransport,
    notes:
      "Speaks MCP on stdin and stdout, as assistants start it. Joins the daemon that runs on the home; without one, runs\n" +
      "its own until the assistant ends. Over HTTP it runs until it is stopped; a daemon serves HTTP with --mcp-listen.",
    examples: ["mcp", "mcp --home ~/agents/a", "mcp --transport http --listen 127.0.0.1:3000"],
    load: () => import("../verbs/mcp.ts"),
  },
  {
    path: "mcp proxy",
    summary: "make an MCP server an agent: each of its tools is a skill",
    configure: (command) =>
      void command.option("--header <name: value>", "goes with every request to a URL (repeatable)", collect),
    arguments: [["<server...>", "the command of the server with its arguments, behind --; or its URL"]],
    notes:
      "The server runs without a shell: each word is an argument. It is started again when it ends. Joins the daemon that\n" +
      "runs on the home, whose card it replaces; without one, runs its own. Runs until it is stopped.",
    examples: [
      "mcp proxy -- npx -y @modelcontextprotocol/server-everything",
      "mcp proxy --home ~/agents/files -- npx -y @modelcontextprotocol/server-filesystem ~/shared",
      "mcp proxy https://mcp.example.com/mcp --header 'Authorization: Bearer …'",
    ],
    load: () => import("../verbs/mcp_proxy.ts"),
  },
  {
    path: "mcp install",
    summary: "add the agent network to an AI assistant",
    arguments: [CLIENT],
    configure: (command) => {
      addPlace(command);
      command
        .option("--print", "print what belongs in the file, and change nothing")
        .option("--command <path>", "the program that the assistant starts (default: this one)");
    },
    notes:
      "Everything else in the file stays, and a copy of it is kept. --home, --config and --relay are passed on.",
    examples: [
      "mcp install claude-desktop",
      "mcp install cursor --home ~/agents/a",
      "mcp install vscode --file .vscode/mcp.json",
      "mcp install gemini --print",
    ],
    json: true,
    load: () => import("../verbs/mcp_install.ts"),
  },
  {
    path: "mcp uninstall",
    summary: "take the agent network out of an AI assistant",
    arguments: [CLIENT],
    configure: addPlace,
    examples: ["mcp uninstall claude-desktop", "mcp uninstall vscode --file .vscode/mcp.json"],
    json: true,
    load: () => import("../verbs/mcp_uninstall.ts"),
  },
];
