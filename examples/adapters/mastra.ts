// An agent of Mastra on the network (needs OPENAI_API_KEY).
import { Agent } from "npm:@mastra/core@1.71.0/agent";
import { mastraAgent, serveAgent } from "../../sdk/adapters/mod.ts";

const agent = new Agent({ id: "chef", name: "chef", instructions: "Suggest a recipe.", model: "openai/gpt-5-mini" });

await using node = await serveAgent(mastraAgent(agent), {
  card: { name: "Chef", skills: [{ id: "recipe", description: "Suggests a recipe" }] },
});
console.log(`agentanycast send ${node.peerId} "Tomatoes, bread, basil"`);
await node.serveForever();
