// A task for a URL, from one daemon to the bridge of another, whose agent works on it.
import assert from "node:assert/strict";
import { Node } from "../../sdk/mod.ts";
import { startTestDaemon } from "../support/test_daemon.ts";
import { tempDir } from "../support/temp_dir.ts";

async function startAgent(address: string, runs: string[]) {
  const node = new Node({
    daemonAddr: address,
    card: { name: "Echo", description: "Repeats", skills: [{ id: "echo", description: "Repeats" }] },
  });
  node.onTask(async (task) => {
    runs.push(task.text);
    if (task.text === "which") {
      const answer = await task.ask("Which one?");
      return await task.complete(`took ${answer.parts[0]?.text}`);
    }
    if (task.text === "fail") return await task.fail("out of paper");
    await task.updateStatus("working");
    await task.complete(`echo: ${task.text}`);
  });
  await node.start();
  return node;
}

Deno.test("a task for the URL of a bridge reaches its agent, asks back and comes to every kind of end", async () => {
  const runs: string[] = [];
  await using far = await startTestDaemon({
    flags: { "bridge-listen": "127.0.0.1:0", "anp-listen": "127.0.0.1:0", "anp-beside-bridge": "true" },
  });
  await using _agent = await startAgent(far.daemon.grpcAddress, runs);
  await using near = await startTestDaemon({ flags: { "outbound-allow": "127.0.0.1" } });
  await using sender = new Node({ daemonAddr: near.daemon.grpcAddress });
  await sender.start();
  const { bridgeUrl: url = "", anpUrl = "" } = far.daemon;
  const done = await (await sender.sendTask("hello", { url })).wait();
  assert.equal(done.artifacts[0]?.parts[0]?.text, "echo: hello");
  const asked = await sender.sendTask("which", { url });
  await assert.rejects(asked.wait(), /Which one\?/);
  await asked.reply("the red one");
  assert.equal((await asked.wait()).artifacts[0]?.parts[0]?.text, "took the red one");
  await assert.rejects((await sender.sendTask("fail", { url })).wait(), /out of paper/);
  const overAnp = await (await sender.sendTask("by anp", { url: anpUrl })).wait();
  assert.equal(overAnp.artifacts[0]?.parts[0]?.text, "echo: by anp");
  const beside = await (await sender.sendTask("beside", { url: `${url}/agent/ad.json` })).wait();
  assert.equal(beside.artifacts[0]?.parts[0]?.text, "echo: beside");
  assert.deepEqual(runs, ["hello", "which", "fail", "by anp", "beside"]);
});

Deno.test("a task for a bridge whose daemon stops meanwhile is done once, after both are back", async () => {
  const runs: string[] = [];
  await using homes = await tempDir();
  const flags = { "bridge-listen": "127.0.0.1:0" };
  let url: string;
  let taskId: string;
  const nearOptions = { home: `${homes.path}/near`, flags: { "outbound-allow": "127.0.0.1" } };
  {
    await using far = await startTestDaemon({ home: `${homes.path}/far`, flags });
    await using near = await startTestDaemon(nearOptions);
    await using sender = new Node({ daemonAddr: near.daemon.grpcAddress });
    await sender.start();
    url = far.daemon.bridgeUrl ?? "";
    await using cardSetter = new Node({
      daemonAddr: far.daemon.grpcAddress,
      card: { name: "Echo", skills: [] },
    });
    await cardSetter.start();
    ({ taskId } = await sender.sendTask("later", { url })); // Nobody works on it yet.
  }
  await using far = await startTestDaemon({
    home: `${homes.path}/far`,
    flags: { "bridge-listen": new URL(url).host },
  });
  await using _agent = await startAgent(far.daemon.grpcAddress, runs);
  await using near = await startTestDaemon(nearOptions);
  await using sender = new Node({ daemonAddr: near.daemon.grpcAddress });
  await sender.start();
  const handle = await sender.getTaskHandle(taskId);
  assert.equal((await handle.wait()).artifacts[0]?.parts[0]?.text, "echo: later");
  assert.deepEqual(runs, ["later"]);
});
