import type { McpServer, ServerEventBus } from "@modelcontextprotocol/server";

/** Who calls, as far as it is proven: the name of its token, or the way it came in. */
export interface McpCaller {
  readonly name: string;
}

/** The name of everybody where no tokens are asked for: the user of this machine. */
export const LOCAL_CALLER = "local";
/** The name of the program that has started this one, and speaks to it over its standard streams. */
export const STDIO_CALLER = "stdio";

/** Whether the caller has this machine's user behind it; others have proven a name, and no more. */
export function isOwner({ name }: McpCaller): boolean {
  return name === LOCAL_CALLER || name === STDIO_CALLER;
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
