import assert from "node:assert/strict";
import { join } from "node:path";
import { Node } from "../../sdk/mod.ts";
import { loopbackEnv, RunningProgram, runProgram } from "../support/program.ts";
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

Deno.test("discover and send --skill find the agent of a peer that is given, with a daemon of their own", async () => {
  await using dir = await tempDir();
  await using demo = start(join(dir.path, "agent"), ["demo"]);
  const [address, peerId] = [await demo.value("LISTEN_ADDR"), await demo.value("PEER_ID")];
  const env = { ...loopbackEnv(join(dir.path, "client")), AGENTANYCAST_ENABLE_MDNS: "false" };
  const call = (...args: string[]) => runProgram([...PROGRAM, ...args, "--relay", address], { env });
  const found = await call("discover", "echo", "--json");
  assert.equal(found.code, 0, found.stderr);
  const [agent] = JSON.parse(found.stdout);
  assert.deepEqual([agent.peerId, agent.verified, agent.via], [peerId, true, ["peer"]]);
  const sent = await call("send", "--skill", "echo", "Hello");
  assert.deepEqual([sent.code, sent.stdout], [0, "Echo: Hello\n"], sent.stderr);
});
