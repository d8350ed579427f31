/**
 * Agents of frameworks on the network, in one call. Each adapter knows its framework by shape alone: none is a dependency.
 *
 * ```ts ignore
 * import { langGraph, serveAgent } from "@agentanycast/sdk/adapters";
 *
 * await using node = await serveAgent(langGraph(graph), { card: { name: "Planner", skills: [{ id: "plan" }] } });
 * await node.serveForever();
 * ```
 *
 * Adapters hand on text as it is written, where the framework writes it piece by piece; keep conversations apart by the
 * context of the task; and end the work when nobody wants it any more.
 *
 * @module
 */
export { toTaskHandler } from "./agent_handler.ts";
export { type AgentRun, type AgentSays, type AgentTurn } from "./agent_run.ts";
export { aiSdkAgent, type AiSdkAgentLike, type AiSdkResultLike } from "./ai_sdk.ts";
export { claudeAgent, type ClaudeAgentDeps } from "./claude_agent.ts";
export { type AdkRunnerLike, googleAdk } from "./google_adk.ts";
export { langGraph, type LangGraphLike, type LangGraphOptions } from "./lang_graph.ts";
export { mastraAgent, type MastraAgentLike, type MastraOptions, type MastraResultLike } from "./mastra.ts";
export { openAiAgent, type OpenAiAgentsDeps, type OpenAiRunLike } from "./openai_agents.ts";
export { type ProcessAgent, processAgent, type ProcessAgentOptions } from "./process_agent.ts";
export { serveAgent, type ServeAgentOptions } from "./serve_agent.ts";
export { strandsAgent, type StrandsAgentLike } from "./strands.ts";
