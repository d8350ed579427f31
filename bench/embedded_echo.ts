/** An agent that sends each task's text back, with its node inside; its home is the first argument. */
import { Node } from "../sdk/mod.ts";

await using node = new Node({
  mode: "embedded",
  home: Deno.args[0] ?? "",
  card: { name: "Echo", skills: [{ id: "echo" }] },
});
node.onTask((task) => task.complete(task.text));
await node.start();
console.log(`READY=${(await node.info()).listenAddresses[0]}`);
await node.serveForever();
