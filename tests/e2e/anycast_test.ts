import assert from "node:assert/strict";
import { join } from "node:path";
import { Node } from "../../sdk/mod.ts";
import { loopbackEnv, RunningProgram } from "../support/program.ts";
import { tempDir } from "../support/temp_dir.ts";

const PROGRAM = [Deno.execPath(), "run", "-A", join(import.meta.dirname ?? ".", "..", "..", "main.ts")];

function start(home: string, args: readonly string[]): RunningProgram {
  return new RunningProgram([...PROGRAM, ...args, "--enable-mdns=false"], loopbackEnv(home));
}

/** A client of the daemon on `home`. */
async function connect(home: string): Promise<Node> {
  const node = new Node({ daemonAddr: `unix://${join(home, "daemon.sock")}` });
  await node.start();
  return node;
}

Deno.test("a task for a skill survives kill -9 of its daemon before it has an agent, and one agent gets it once", async () => {
  await using dir = await tempDir();
  const [sender, agent] = [join(dir.path, "sender"), join(dir.path, "agent")];
  const taskId = crypto.randomUUID();
  {
    // Somebody who might know of an agent cannot be asked: the task is taken and looks for one.
    await using daemon = start(sender, ["daemon", "--anycast-registry-addrs", "127.0.0.1:1"]);
    await daemon.value("PEER_ID");
    await using node = await connect(sender);
    const handle = await node.sendTask("Hello", { skill: "echo", taskId });
    assert.deepEqual([handle.status, handle.task.peerId], ["submitted", undefined]);
    await daemon.stop("SIGKILL");
  }
  await using demo = start(agent, ["demo"]);
  const address = await demo.value("LISTEN_ADDR");
  await using daemon = start(sender, ["daemon", "--bootstrap-peers", address]);
  await daemon.value("PEER_ID");
  await using node = await connect(sender);
  const task = await (await node.getTaskHandle(taskId)).wait({ timeoutMs: 60_000 });
  assert.deepEqual([task.status, task.artifacts[0]?.parts[0]?.text], ["completed", "Echo: Hello"]);
  await using other = await connect(agent);
  assert.deepEqual((await other.listTasks()).map((one) => one.taskId), [taskId]);
});
