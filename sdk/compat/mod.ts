/**
 * Agents and tasks in the forms of other systems, both ways and without loss: A2A 1.0, 0.3 and the older form of the network;
 * records of OASF and directories of AGNTCY; catalogs of AI; tools of MCP.
 *
 * ```ts
 * import { fromA2aCard, toA2aCard } from "@agentanycast/sdk/compat";
 *
 * const json = toA2aCard({ name: "Echo", skills: [{ id: "echo", inputSchema: '{"type":"object"}' }] });
 * console.log(fromA2aCard(json).skills[0]?.inputSchema);
 * ```
 *
 * What a foreign form says and the types of the SDK have no place for is kept as `extra`, and goes back out when the object is
 * written again, in the same form or in another. Nothing here needs a node; reading a card proves nothing of it.
 *
 * @module
 */
export { CodedError, type CodedErrorOptions, ERROR_CODES, type ErrorCode } from "../../core/errors.ts";
export { AgentAnycastError } from "../errors.ts";
export type {
  AgentCard,
  Artifact,
  JsonObject,
  JsonValue,
  Message,
  Part,
  Skill,
  Task,
  TaskDirection,
  TaskStatus,
} from "../model.ts";
export {
  type A2aOptions,
  fromA2aArtifact,
  fromA2aMessage,
  fromA2aPart,
  fromA2aTask,
  toA2aArtifact,
  toA2aMessage,
  toA2aPart,
  toA2aTask,
} from "./a2a.ts";
export {
  type A2aCardOptions,
  fromA2aCard,
  fromA2aSkill,
  toA2aCard,
  toA2aSkill,
  versionOfA2aCard,
} from "./a2a_card.ts";
export type { A2aVersion } from "./a2a_dialect.ts";
export type { CompatArtifact, CompatMessage, CompatPart, CompatTask } from "./a2a_v1.ts";
export { CARD_EXTENSION, type CompatCard, type CompatSkill } from "./card_v1.ts";
export type { Extra } from "./json.ts";
export { AgntcyDirectory, type DirectoryCallOptions } from "./agntcy_directory.ts";
export type {
  AgntcyDirectoryOptions,
  DirectoryAgent,
  DirectoryCondition,
  DirectoryDialect,
  DirectoryField,
  DirectoryPeer,
  DirectoryQuery,
  DirectoryTls,
} from "./directory_model.ts";
export {
  A2A_CARD_TYPE,
  AI_CATALOG_PATH,
  type AiCatalog,
  type CatalogEntry,
  fromAiCatalog,
  fromCatalogEntry,
  MCP_CARD_TYPE,
  type RejectedEntry,
  toAiCatalog,
  toCatalogEntry,
} from "./ai_catalog.ts";
export { fromMcpResult, type McpAnswer, toMcpResult } from "./mcp_result.ts";
export { fromMcpTool, type McpTool, mcpToolsToCard, toMcpTool } from "./mcp_tool.ts";
export { fromOasfRecord, type OasfClass, type OasfDialect, type OasfFacts, toOasfRecord } from "./oasf.ts";
