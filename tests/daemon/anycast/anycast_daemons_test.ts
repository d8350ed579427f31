import assert from "node:assert/strict";
import { Node } from "../../../sdk/mod.ts";
import { startTestDaemon, type TestDaemon } from "../../support/test_daemon.ts";

/** An agent with a daemon of its own: the client, and what ends both. */
async function startAgent(skills: readonly { id: string; tags?: readonly string[] }[]) {
  const node = await startTestDaemon();
  const sdk = new Node({ daemonAddr: node.daemon.grpcAddress, card: { name: "Agent", skills } });
  await sdk.start();
  return {
    ...{ node, sdk },
    async [Symbol.asyncDispose]() {
      await sdk.stop();
      await node[Symbol.asyncDispose]();
    },
  };
}

async function startSender(strategy = "random") {
  const flags = { "anycast-find-timeout": "5s", "anycast-routing-strategy": strategy };
  const node = await startTestDaemon({ flags });
  const sdk = new Node({ daemonAddr: node.daemon.grpcAddress });
  await sdk.start();
  return {
    ...{ node, sdk },
    connect: async (to: TestDaemon) => void await sdk.connectPeer(to.daemon.peerId, to.daemon.addresses()),
    async [Symbol.asyncDispose]() {
      await sdk.stop();
      await node[Symbol.asyncDispose]();
    },
  };
}

Deno.test("discover() finds connected agents by their cards", async () => {
  await using agent = await startAgent([{ id: "translate", tags: ["lang=fr", "fast"] }]);
  await using sender = await startSender();
  await sender.connect(agent.node);
  const { peerId } = agent.sdk;
  const [found, ...more] = await sender.sdk.discover("translate", { tags: { lang: "fr" } });
  assert.deepEqual(more, []);
  assert.deepEqual(
    [found?.peerId, found?.agentName, found?.verified, found?.via, found?.skills[0]?.tags],
    [peerId, "Agent", true, ["peer"], { lang: "fr", fast: "" }],
  );
  assert.deepEqual(await sender.sdk.discover("translate", { tags: { lang: "de" } }), []);
  assert.equal((await sender.sdk.discover("", { prefix: "trans" })).length, 1);
  assert.deepEqual(await agent.sdk.discover("translate"), [], "a node does not find itself");
});

Deno.test("sendTask() to a skill goes past agents that refuse, to the one that takes it, and only there", async () => {
  await using first = await startAgent([{ id: "translate" }]);
  await using second = await startAgent([{ id: "translate" }]);
  await using third = await startAgent([{ id: "sing" }]);
  await using sender = await startSender();
  const seen: string[] = [];
  first.sdk.onTask(async (task) => {
    seen.push("first");
    await task.reject("not today");
  });
  second.sdk.onTask(async (task) => {
    seen.push("second");
    await task.complete(`Bonjour: ${task.targetSkillId}`);
  });
  third.sdk.onTask(async (task) => {
    seen.push("third");
    await task.complete("la");
  });
  for (const { node } of [first, second, third]) await sender.connect(node);
  for (let i = 0; i < 6; i++) {
    const handle = await sender.sdk.sendTask("Hello", { skill: "translate" });
    const { status, artifacts, peerId } = await handle.wait();
    assert.deepEqual([status, artifacts[0]?.parts[0]?.text], ["completed", "Bonjour: translate"]);
    assert.equal(peerId, second.sdk.peerId);
  }
  assert.equal(seen.filter((name) => name === "second").length, 6);
  assert.equal(seen.includes("third"), false);
  await assert.rejects(sender.sdk.sendTask("Hello", { skill: "dance" }), { name: "SkillNotFoundError" });
});

Deno.test("sendTask() to a skill shares the work by the strategy, each task with one agent", async () => {
  await using first = await startAgent([{ id: "echo" }]);
  await using second = await startAgent([{ id: "echo" }]);
  const seen: string[] = [];
  for (const [name, { sdk }] of Object.entries({ first, second })) {
    sdk.onTask(async (task) => {
      seen.push(name);
      await task.complete("done");
    });
  }
  await using turns = await startSender("round-robin");
  for (const { node } of [first, second]) await turns.connect(node);
  for (let i = 0; i < 4; i++) await (await turns.sdk.sendTask("x", { skill: "echo" })).wait();
  assert.deepEqual([...seen.slice(0, 2)].sort(), ["first", "second"]);
  assert.deepEqual([seen[2], seen[3]], [seen[0], seen[1]]);
  seen.length = 0;
  await using sticky = await startSender("sticky");
  for (const { node } of [first, second]) await sticky.connect(node);
  for (let i = 0; i < 4; i++) {
    await (await sticky.sdk.sendTask("x", { skill: "echo", contextId: "talk" })).wait();
  }
  assert.equal(new Set(seen).size, 1);
});
