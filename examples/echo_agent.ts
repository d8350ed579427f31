// An agent on the network: deno run -A examples/echo_agent.ts
import { Node } from "../sdk/mod.ts";

await using node = new Node({
  card: {
    name: "Echo",
    description: "Says it again",
    skills: [{ id: "echo", description: "Says it again" }],
  },
});
node.onTask((task) => task.complete(`Echo: ${task.text}`), { skill: "echo" });
await node.start();
console.log(`agentanycast send ${node.peerId} --skill echo "Hello"`);
await node.serveForever();
