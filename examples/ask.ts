// Asks an agent, by its peer id or address: ask.ts TARGET TEXT
import { Node } from "@agentanycast/sdk";

const [target = "", text = "Hello"] = Deno.args;
await using node = new Node({ home: "~/.agentanycast-client" });
await node.start();
const { peerId } = await node.connectPeer(target);
const handle = await node.sendTask(text, { peerId, targetSkill: "echo" });
const task = await handle.wait({ timeoutMs: 30_000 });
for (const { parts } of task.artifacts) for (const part of parts) console.log(part.text);
