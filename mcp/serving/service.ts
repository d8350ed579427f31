import type { McpServer, ServerEventBus } from "@modelcontextprotocol/server";

/** Who calls, as far as it is proven: the name of its token, or the way it came in. */
export interface McpCaller {
  readonly name: string;
}

/** What is served over MCP, whichever transport and revision a client speaks. */
export interface McpService {
  /** A server with all tools, resources and prompts; one for each connection, session or stateless request. */
  createServer(caller: McpCaller): McpServer;
  /** Where changes of lists and resources are published. */
  readonly changes: ServerEventBus;
  /** Publishes updates of a resource until disposed; undefined for one that does not change, or not while it is watched. */
  watch?(uri: string, caller: McpCaller): Disposable | undefined;
}
