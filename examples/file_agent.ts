// An agent that streams a file, whatever its length: file_agent.ts FILE
import { Node } from "@agentanycast/sdk";

const [path = ""] = Deno.args;
await using node = new Node({
  home: "~/agents/files",
  card: { name: "Files", skills: [{ id: "file", description: "Sends a file" }] },
});
node.onTask(async (task) => {
  const { size } = await Deno.stat(path);
  // Opened anew for each try: what can be read again survives a restart of the daemon.
  const data = async function* () {
    using file = await Deno.open(path);
    yield* file.readable;
  };
  const { sha256 } = await task.sendArtifact({ name: "the-file", data, totalBytes: size });
  await task.complete(`SHA-256 ${sha256}`);
}, { skill: "file" });
await node.start();
console.log(`agentanycast send ${node.peerId} --skill file "Please" --output .`);
await node.serveForever();
