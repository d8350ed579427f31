// An agent with its node inside, no daemon: `deno run -A --unstable-kv --unstable-net embedded_echo.ts`.
import { Node } from "../sdk/mod.ts";

await using node = new Node({
  mode: "embedded",
  card: { name: "Echo", skills: [{ id: "echo", description: "Says it again" }] },
});
node.onTask((task) => task.complete(`Echo: ${task.text}`), { skill: "echo" });
await node.start();
console.log(`ADDRESS=${(await node.info()).listenAddresses[0]}`);
await node.serveForever();
