// Tests of an agent, without network, files or waiting: `deno test examples/tests`.
import assert from "node:assert/strict";
import type { Node } from "../../sdk/mod.ts";
import { createTestNetwork } from "../../sdk/testing/mod.ts";

const card = { name: "Echo", skills: [{ id: "echo" }] };

/** What the program does with its node; here it is under test. */
function setUpAgent(node: Node): void {
  node.onTask(async (task) => {
    if (task.text === "") return await task.reject("Say something");
    await task.complete(`Echo: ${task.text}`);
  }, { skill: "echo" });
}

Deno.test("the agent says it again to whoever looks for the skill", async () => {
  await using net = await createTestNetwork();
  setUpAgent(await net.node({ card }));
  const client = await net.node();
  const handle = await client.sendTask("hi", { skill: "echo" });
  assert.equal((await handle.wait()).artifacts[0]?.parts[0]?.text, "Echo: hi");
});

Deno.test("the agent answers what was sent while it was gone", async () => {
  await using net = await createTestNetwork();
  const agent = await net.node({ card });
  setUpAgent(agent);
  const client = await net.node();
  net.cut(agent, client);
  const handle = await client.sendTask("still there?", { peerId: agent.peerId, targetSkill: "echo" });
  await net.crash(agent);
  await net.advance(60 * 60_000);
  await agent.start();
  net.heal(agent, client);
  assert.equal((await handle.wait()).artifacts[0]?.parts[0]?.text, "Echo: still there?");
});
