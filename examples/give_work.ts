// Sends several tasks at once and waits for all: give_work.ts TEXT…
import { Node } from "@agentanycast/sdk";

await using node = new Node({ home: "~/.agentanycast-client" });
await node.start();
const handles = await Promise.all(Deno.args.map((text) => node.sendTask(text, { skill: "work" })));
const tasks = await Promise.all(handles.map((handle) => handle.wait({ timeoutMs: 30_000 })));
for (const { artifacts } of tasks) console.log(artifacts[0]?.parts[0]?.text);
