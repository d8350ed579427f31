import { type Command, Option } from "commander";
import type { Verb } from "../verb.ts";

function addTransport(command: Command): void {
  command
    .addOption(
      new Option("--transport <kind>", "how clients reach it").choices(["stdio", "http"]).default("stdio"),
    )
    .option("--listen <host:port>", "where it is served over HTTP (default: the setting mcp.listen)");
}

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
    arguments: [["<server...>", "the command of the server with its arguments, behind --; or its URL"]],
    notes:
      "The server runs without a shell: each word is an argument. It is started again when it ends. Joins the daemon that\n" +
      "runs on the home, whose card it replaces; without one, runs its own. Runs until it is stopped.",
    examples: [
      "mcp proxy -- npx -y @modelcontextprotocol/server-everything",
      "mcp proxy --home ~/agents/files -- npx -y @modelcontextprotocol/server-filesystem ~/shared",
      "mcp proxy https://mcp.example.com/mcp",
    ],
    load: () => import("../verbs/mcp_proxy.ts"),
  },
];
