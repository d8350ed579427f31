// An agent of Google's ADK on the network (needs GOOGLE_API_KEY).
import { InMemoryRunner, LlmAgent } from "npm:@google/adk@2.0.0";
import { googleAdk, serveAgent } from "../../sdk/adapters/mod.ts";

const agent = new LlmAgent({ name: "guide", model: "gemini-2.5-flash", instruction: "Recommend places to visit." });
const runner = new InMemoryRunner({ agent, appName: "guide" });

await using node = await serveAgent(googleAdk(runner), {
  card: { name: "Guide", skills: [{ id: "recommend_places" }] },
});
console.log(`agentanycast send ${node.peerId} "A day in Lisbon"`);
await node.serveForever();
