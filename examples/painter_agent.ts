// An agent that asks back before it works.
import { Node } from "@agentanycast/sdk";

await using node = new Node({
  home: "~/agents/painter",
  card: { name: "Painter", description: "Paints in words", skills: [{ id: "paint", description: "Paints" }] },
});
node.onTask(async (task) => {
  const answer = await task.ask("Which colour?", { timeoutMs: 10 * 60_000 });
  await task.complete(`${task.messages[0]?.parts[0]?.text}, ${answer.parts[0]?.text}`);
}, { skill: "paint" });
await node.start();
console.log(`agentanycast send ${node.peerId} --skill paint "A wall"`);
await node.serveForever();
