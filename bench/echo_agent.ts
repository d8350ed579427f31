/** An agent that sends each task's text back, at the daemon whose gRPC address is the first argument. */
import { Node } from "../sdk/mod.ts";

await using node = new Node({
  daemonAddr: Deno.args[0] ?? "",
  card: { name: "Echo", skills: [{ id: "echo" }] },
});
node.onTask((task) => task.complete(task.text));
await node.start();
console.log(`READY=${node.peerId}`);
await node.serveForever();
