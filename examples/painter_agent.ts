// An agent that asks back and streams its result: deno run -A examples/painter_agent.ts
import { Node } from "../sdk/mod.ts";

await using node = new Node({
  card: { name: "Painter", description: "Paints in words", skills: [{ id: "paint", description: "Paints" }] },
  exclusive: true, // a second one on the same daemon shares the work
});
node.onTask(async (task) => {
  const colour = await task.ask("Which colour?", { timeoutMs: 10 * 60_000 });
  const data = async function* () {
    for (let row = 0; row < 100 && !task.signal.aborted; row++) {
      yield new TextEncoder().encode(`${colour.parts[0]?.text} `.repeat(20) + "\n");
    }
  }();
  await task.sendArtifact({ name: "picture.txt", mediaType: "text/plain", data });
  await task.complete();
}, { skill: "paint" });
await node.start();
console.log(`agentanycast send ${node.peerId} --skill paint "A wall"`);
await node.serveForever();
