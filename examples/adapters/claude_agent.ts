// An agent of the Claude Agent SDK on the network (needs a login of Claude Code, or ANTHROPIC_API_KEY).
import { query } from "npm:@anthropic-ai/claude-agent-sdk@0.3.332";
import { claudeAgent, serveAgent } from "../../sdk/adapters/mod.ts";

const agent = claudeAgent({ query, options: { allowedTools: ["Read", "Grep"], cwd: Deno.cwd() } });

await using node = await serveAgent(agent, {
  card: { name: "Code reader", skills: [{ id: "explain_code", description: "Explains the code of this folder" }] },
});
console.log(`agentanycast send ${node.peerId} "What does main.ts do?"`);
await node.serveForever();
