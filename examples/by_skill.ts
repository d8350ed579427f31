// Asks whoever has a skill, without knowing anybody: by_skill.ts SKILL TEXT
import { Node } from "@agentanycast/sdk";

const [skill = "echo", text = "Hello"] = Deno.args;
await using node = new Node({ home: "~/.agentanycast-client" });
await node.start();
for (const { agentName, verified } of await node.discover(skill)) {
  console.log(agentName, verified ? "(proven)" : "(not proven)");
}
const handle = await node.sendTask(text, { skill });
const task = await handle.wait({ timeoutMs: 30_000 });
console.log(task.artifacts[0]?.parts[0]?.text);
