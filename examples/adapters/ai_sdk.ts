// An agent of the Vercel AI SDK on the network (needs AI_GATEWAY_API_KEY).
import { ToolLoopAgent } from "npm:ai@7.0.173";
import { aiSdkAgent, serveAgent } from "../../sdk/adapters/mod.ts";

const agent = new ToolLoopAgent({ model: "openai/gpt-5-mini", instructions: "Translate to French." });

await using node = await serveAgent(aiSdkAgent(agent), {
  card: { name: "Translator", skills: [{ id: "translate", tags: ["french"] }] },
});
console.log(`agentanycast send --skill translate "Good morning"`);
await node.serveForever();
