// One of several programs that share the tasks of one agent: worker.ts NAME
import { Node } from "@agentanycast/sdk";

const [name = "worker"] = Deno.args;
await using node = new Node({
  home: "~/agents/pool",
  card: { name: "Pool", skills: [{ id: "work", description: "Says who did it" }] },
  exclusive: true,
  maxClaims: 1,
});
node.onTask((task) => task.complete(`${task.text}: done by ${name}`), { skill: "work" });
await node.start();
console.log(`${name} works for ${node.peerId}`);
await node.serveForever();
