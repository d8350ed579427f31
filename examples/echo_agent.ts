// An agent on the network.
import { Node } from "@agentanycast/sdk";

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
