import type { Verb } from "../verb.ts";

/** The verbs about the Model Context Protocol. */
export const MCP_VERBS: readonly Verb[] = [
  {
    path: "mcp",
    summary: "serve the agent network to an AI assistant over MCP",
    notes:
      "Speaks MCP on stdin and stdout, as assistants start it. Joins the daemon that runs on the home; without one, runs\n" +
      "its own until the assistant ends.",
    examples: ["mcp", "mcp --home ~/agents/a"],
    load: () => import("../verbs/mcp.ts"),
  },
];
