// An agent of the OpenAI Agents SDK on the network (needs OPENAI_API_KEY).
import { Agent, run } from "npm:@openai/agents@0.20.0";
import { openAiAgent, serveAgent } from "../../sdk/adapters/mod.ts";

const agent = new Agent({ name: "Poet", instructions: "Answer with a haiku." });

await using node = await serveAgent(openAiAgent({ agent, run }), {
  card: { name: "Poet", skills: [{ id: "haiku", description: "Writes a haiku" }] },
});
console.log(`agentanycast send ${node.peerId} "Autumn in the mountains"`);
await node.serveForever();
