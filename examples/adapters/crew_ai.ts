// A CrewAI crew on the network: crew.py runs it, a line of JSON for each task.
import { processAgent, serveAgent } from "../../sdk/adapters/mod.ts";

const crew = new URL("./crew.py", import.meta.url).pathname;
await using agent = processAgent({ command: "python3", args: [crew] });
await using node = await serveAgent(agent.run, {
  card: { name: "Research crew", skills: [{ id: "research", description: "Researches a topic" }] },
});
console.log(`agentanycast send ${node.peerId} "Solid-state batteries"`);
await node.serveForever();
