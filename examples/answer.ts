// Answers the question of an agent: answer.ts COLOUR
import { Node, TaskInputRequiredError } from "@agentanycast/sdk";

const [colour = "blue"] = Deno.args;
await using node = new Node({ home: "~/.agentanycast-client" });
await node.start();
const handle = await node.sendTask("A wall", { skill: "paint" });
try {
  await handle.wait({ timeoutMs: 30_000 });
} catch (error) {
  if (!(error instanceof TaskInputRequiredError)) throw error;
  console.log(error.message);
  await handle.reply(colour);
}
const task = await handle.wait({ timeoutMs: 30_000 });
console.log(task.artifacts[0]?.parts[0]?.text);
