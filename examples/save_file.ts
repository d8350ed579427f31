// Saves what an agent streams, as it comes: save_file.ts FILE
import { Node } from "@agentanycast/sdk";

const [path = "saved"] = Deno.args;
await using node = new Node({ home: "~/.agentanycast-client" });
await node.start();
const handle = await node.sendTask("Please", { skill: "file" });
for await (const stream of handle.streams()) {
  await Deno.writeFile(path, ReadableStream.from(stream), { createNew: true });
}
const { artifacts } = await handle.wait({ timeoutMs: 30_000 });
console.log(artifacts.flatMap(({ parts }) => parts.map(({ text }) => text ?? "")).join("\n").trim());
