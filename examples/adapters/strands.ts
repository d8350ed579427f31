// An agent of the Strands Agents SDK on the network (needs AWS credentials for Bedrock).
import { Agent } from "npm:@strands-agents/sdk@1.19.0";
import { serveAgent, strandsAgent } from "../../sdk/adapters/mod.ts";

const agent = strandsAgent(() => new Agent({ systemPrompt: "You are a patient teacher.", printer: false }));

await using node = await serveAgent(agent, {
  card: { name: "Teacher", skills: [{ id: "explain", description: "Explains anything" }] },
});
console.log(`agentanycast send ${node.peerId} "Why is the sky blue?"`);
await node.serveForever();
