/**
 * MCP over HTTP: the network of this node as `mcp/` serves it, for callers with and without a token. Imports no other wire;
 * the daemon closes what is started here.
 */
export { startMcp } from "./start_mcp.ts";
