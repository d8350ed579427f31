/**
 * The Model Context Protocol: this network's agents as tools of an assistant, and MCP servers as agents of this network.
 * `serving/` speaks the protocol for whatever service it is given. `network/` is the service of
 * this node, over a small port. Imports `core/`, `identity/` and the types of `sdk/`; who makes an endpoint closes it.
 *
 * @module
 */
export { CallerTokens } from "./serving/caller_tokens.ts";
export { clientCapabilities } from "./serving/client_capabilities.ts";
export {
  createMcpEndpoint,
  MCP_PATH,
  type McpEndpoint,
  type McpEndpointOptions,
} from "./serving/http_endpoint.ts";
export { serveMcpStdio, type StdioStreams } from "./serving/serve_stdio.ts";
export { isOwner, type McpCaller, type McpService } from "./serving/service.ts";
export { nodeAccess } from "./network/node_access.ts";
export type { DiscoveryQuery, NetworkAccess, OutgoingTask, Target } from "./network/access.ts";
export {
  createNetworkService,
  type NetworkService,
  type NetworkServiceDeps,
} from "./network/network_service.ts";
export { type ProxyDeps, type ProxyNode, runMcpProxy } from "./proxy/run_proxy.ts";
export { type ServerAddress, toServerAddress } from "./proxy/server_address.ts";
export { quoteUntrusted, safeLine, safeText } from "./network/safe_text.ts";
