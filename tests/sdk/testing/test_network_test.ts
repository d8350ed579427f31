import assert from "node:assert/strict";
import { type IncomingTask, Node, type TaskHandle } from "../../../sdk/mod.ts";
import { createTestNetwork, type TestNetwork, type TestNodeOptions } from "../../../sdk/testing/mod.ts";

const ECHO = { name: "Echo", skills: [{ id: "echo" }] };
const DAY_MS = 24 * 60 * 60 * 1000;

interface Pair extends AsyncDisposable {
  readonly net: TestNetwork;
  readonly agent: Node;
  readonly client: Node;
}

async function startPair(options: TestNodeOptions = {}): Promise<Pair> {
  const net = await createTestNetwork();
  const agent = await net.node({ card: ECHO, ...options });
  const client = await net.node();
  return { net, agent, client, [Symbol.asyncDispose]: () => net[Symbol.asyncDispose]() };
}

async function resultOf(handle: TaskHandle): Promise<string | undefined> {
  return (await handle.wait()).artifacts[0]?.parts[0]?.text;
}

const echo = (task: IncomingTask) => task.complete(`Echo: ${task.text}`);

Deno.test("createTestNetwork() joins nodes that find each other's skills and exchange tasks", async () => {
  await using net = await createTestNetwork({ startAt: new Date("2030-05-06T07:08:09Z") });
  const agent = await net.node({ card: ECHO });
  agent.onTask(echo, { skill: "echo" });
  const client = await net.node();
  assert.equal(net.now.toISOString(), "2030-05-06T07:08:09.000Z");
  const agents = await client.discover("echo");
  assert.deepEqual(agents.map(({ peerId }) => peerId), [agent.peerId]);
  const handle = await client.sendTask("hi", { skill: "echo" });
  assert.equal(await resultOf(handle), "Echo: hi");
  assert.equal((await client.getTask(handle.taskId)).createdAt?.getTime(), net.now.getTime());
  assert.equal((await client.getCard(agent.peerId)).name, "Echo");
  await assert.rejects(client.sendTask("hi", { skill: "paint" }), { name: "SkillNotFoundError" });
});

Deno.test("createTestNetwork() gives the same peer ids in each run, and logs by its own time", async () => {
  const idsOfRun = async () => {
    await using net = await createTestNetwork();
    return [(await net.node()).peerId, (await net.node()).peerId];
  };
  assert.deepEqual(await idsOfRun(), await idsOfRun());
  await using net = await createTestNetwork();
  const lines: string[] = [];
  await net.node({ onLog: (line) => lines.push(line) });
  assert.match(lines.join("\n"), /^2026-01-01T00:00:00.000Z INFO/);
});

Deno.test("TestNetwork.advance() makes the deadline of a task come due on both sides", async () => {
  await using pair = await startPair();
  const ended: string[] = [];
  pair.agent.onTask((task) =>
    new Promise((resolve) => {
      task.signal.addEventListener("abort", () => resolve(void ended.push(task.taskId)));
    })
  );
  const { peerId } = pair.agent;
  const handle = await pair.client.sendTask("hi", { peerId, deadlineMs: 60_000 });
  const failed = assert.rejects(handle.wait(), { name: "TaskFailedError", message: /deadline/i });
  await pair.net.advance(59_000);
  assert.equal((await pair.agent.getTask(handle.taskId)).status, "working");
  await pair.net.advance(2_000);
  await failed;
  assert.deepEqual(ended, [handle.taskId]);
  assert.equal((await pair.agent.getTask(handle.taskId)).status, "failed");
});

Deno.test("TestNetwork.advance() ends the limits of wait(), of handlers and of questions", async () => {
  await using pair = await startPair();
  const { agent, client, net } = pair;
  const { peerId } = agent;
  agent.onTask(async (task) => {
    if (task.text === "ask") await task.ask("Which one?", { timeoutMs: 30_000 });
    else await new Promise<void>((resolve) => task.signal.addEventListener("abort", () => resolve()));
  }, { timeoutMs: 120_000 });
  const waiting = (await client.sendTask("wait", { peerId })).wait({ timeoutMs: 10_000 });
  const expired = assert.rejects(waiting, { name: "TaskTimeoutError" });
  const slow = await client.sendTask("slow", { peerId });
  const asking = await client.sendTask("ask", { peerId });
  await assert.rejects(asking.wait(), { name: "TaskInputRequiredError" });
  await net.advance(10_000);
  await expired;
  await net.advance(20_000);
  await assert.rejects(asking.wait(), { message: "No answer within 30000 ms" });
  assert.equal((await client.getTask(slow.taskId)).status, "working");
  await net.advance(90_000);
  await assert.rejects(slow.wait(), { message: /did not finish within 120000 ms/ });
});

Deno.test("TestNetwork.advance() lets a claim be renewed for as long as its handler works", async () => {
  await using pair = await startPair({ exclusive: true });
  const finish = Promise.withResolvers<void>();
  const begun: string[] = [];
  pair.agent.onTask(async (task) => {
    begun.push(task.taskId);
    await finish.promise;
    await task.complete("done");
  });
  const handle = await pair.client.sendTask("hi", { peerId: pair.agent.peerId });
  await pair.net.advance(10 * 60_000);
  finish.resolve();
  assert.equal(await resultOf(handle), "done");
  assert.deepEqual(begun, [handle.taskId]);
});

Deno.test("TestNetwork.cut() keeps tasks from arriving until heal()", async () => {
  await using pair = await startPair();
  const { agent, client, net } = pair;
  agent.onTask(echo);
  net.cut(agent, client);
  assert.deepEqual(await client.listPeers(), []);
  const handle = await client.sendTask("hi", { peerId: agent.peerId });
  await net.advance(10 * 60_000);
  assert.equal((await client.getTask(handle.taskId)).status, "submitted");
  net.heal(agent, client);
  assert.equal(await resultOf(handle), "Echo: hi");
});

Deno.test("TestNetwork.offline() leads a task for a skill to another agent; what waits for it ends in time", async () => {
  await using net = await createTestNetwork();
  const agents = [await net.node({ card: ECHO }), await net.node({ card: ECHO })] as const;
  for (const [index, agent] of agents.entries()) agent.onTask((task) => task.complete(`by ${index}`));
  const client = await net.node();
  net.offline(agents[0]);
  assert.equal(await resultOf(await client.sendTask("hi", { skill: "echo" })), "by 1");
  const lost = await client.sendTask("hi", { peerId: agents[0].peerId });
  const failed = assert.rejects(lost.wait(), { name: "TaskFailedError" });
  await net.advance(DAY_MS + 60_000);
  await failed;
  net.online(agents[0]);
  assert.equal(await resultOf(await client.sendTask("hi", { peerId: agents[0].peerId })), "by 0");
});

Deno.test("TestNetwork.delay() makes messages arrive when their time has come", async () => {
  await using pair = await startPair();
  const { agent, client, net } = pair;
  agent.onTask(echo);
  net.delay(3_000, { from: client, to: agent });
  const handle = await client.sendTask("hi", { peerId: agent.peerId });
  await net.advance(2_900);
  assert.deepEqual(await agent.listTasks(), []);
  await net.advance(30_000);
  assert.equal(await resultOf(handle), "Echo: hi");
});

Deno.test("TestNetwork.drop() loses messages, which are sent again, and handled once", async () => {
  await using pair = await startPair();
  const { agent, client, net } = pair;
  const handled: string[] = [];
  agent.onTask((task) => {
    handled.push(task.text);
    return echo(task);
  });
  const { peerId } = agent;
  await resultOf(await client.sendTask("first", { peerId }));
  for (
    const [text, way] of [["lost", { from: client, to: agent }], ["answered", {
      from: agent,
      to: client,
    }]] as const
  ) {
    net.drop(1, way);
    const handle = await client.sendTask(text, { peerId });
    await net.settle();
    assert.notEqual((await client.getTask(handle.taskId)).status, "completed", text);
    await net.advance(60_000);
    assert.equal(await resultOf(handle), `Echo: ${text}`);
  }
  assert.deepEqual(handled, ["first", "lost", "answered"]);
});

Deno.test("TestNetwork.crash() keeps what was committed, and start() goes on with it", async () => {
  await using pair = await startPair();
  const { agent, client, net } = pair;
  const { peerId } = agent;
  let runs = 0;
  let isAborted = false;
  agent.onTask(async (task) => {
    if (++runs > 1) return await task.complete(`run ${runs}`);
    await new Promise<void>((resolve) => task.signal.addEventListener("abort", () => resolve()));
    isAborted = true;
    await task.complete("too late").catch(() => {}); // nothing of it is kept, whatever the dying node says
  });
  const handle = await client.sendTask("hi", { peerId });
  await net.advance(100); // the agent says that it is at work
  await net.crash(agent);
  assert.equal(agent.isRunning, false);
  assert.deepEqual(await client.listPeers(), []);
  await net.crash(client);
  await client.start();
  assert.equal((await client.getTask(handle.taskId)).status, "working");
  await agent.start();
  assert.equal(agent.peerId, peerId);
  assert.equal(await resultOf(await client.getTaskHandle(handle.taskId)), "run 2");
  assert.equal(isAborted, true);
});

Deno.test("TestNetwork.crash() of a node loses what it does afterwards, a stop loses nothing", async () => {
  await using pair = await startPair();
  const { agent, client, net } = pair;
  net.cut(agent, client);
  const kept = await client.sendTask("kept", { peerId: agent.peerId });
  const crashing = net.crash(client);
  await crashing;
  await client.start();
  await client.sendTask("more", { peerId: agent.peerId });
  await client.stop();
  await client.start();
  assert.equal((await client.listTasks()).length, 2);
  agent.onTask(echo);
  net.heal(agent, client);
  assert.equal(await resultOf(await client.getTaskHandle(kept.taskId)), "Echo: kept");
});

Deno.test("TestNetwork carries streamed artifacts, also over a link that breaks", async () => {
  await using pair = await startPair();
  const { agent, client, net } = pair;
  const piece = new Uint8Array(100_000).fill(7);
  agent.onTask(async (task) => {
    await task.sendArtifact({
      name: "long",
      data: async function* () {
        for (let i = 0; i < 30; i++) {
          if (i === 10) net.drop(1, { from: agent, to: client });
          yield await Promise.resolve(piece);
        }
      },
    });
    await task.complete();
  });
  const handle = await client.sendTask("go", { peerId: agent.peerId });
  let bytes = 0;
  const reading = (async () => {
    for await (const stream of handle.streams()) for await (const chunk of stream) bytes += chunk.length;
  })();
  await net.advance(60_000);
  await reading;
  assert.equal(bytes, 3_000_000);
  await handle.wait();
});

Deno.test("TestNetwork.node() takes a configuration", async () => {
  await using net = await createTestNetwork();
  const config = 'policy.acl = [{ direction = "inbound", allow = false }]';
  const agent = await net.node({ card: ECHO, config });
  agent.onTask(echo);
  const client = await net.node();
  const handle = await client.sendTask("hi", { peerId: agent.peerId });
  await assert.rejects(handle.wait(), { name: "TaskRejectedError" });
  await assert.rejects(net.node({ config: "nonsense = 1" }), { code: "invalid_argument" });
});

Deno.test("TestNetwork refuses what makes no sense", async () => {
  await using net = await createTestNetwork();
  const node = await net.node();
  const stranger = new Node({ daemonAddr: "unix:///nowhere" });
  assert.throws(() => net.cut(node, stranger), { code: "invalid_argument" });
  assert.throws(() => net.delay(-1, { from: node, to: node }), RangeError);
  assert.throws(() => net.drop(0.5, { from: node, to: node }), RangeError);
  await assert.rejects(net.advance(NaN), RangeError);
});

Deno.test("TestNetwork.settle() gives up when its agents answer each other for ever", async () => {
  await using net = await createTestNetwork({ maxTurns: 200 });
  const nodes = [await net.node({ card: ECHO }), await net.node({ card: ECHO })];
  for (const [i, node] of nodes.entries()) {
    node.onTask(async (task) => {
      await task.complete();
      await node.sendTask("again", { peerId: nodes[1 - i]?.peerId ?? "" });
    });
  }
  await nodes[0]?.sendTask("go", { peerId: nodes[1]?.peerId ?? "" });
  await assert.rejects(net.settle(), { code: "resource_exhausted", message: /in 200 turns/ });
  await assert.rejects(createTestNetwork({ maxTurns: 0 }), RangeError);
});

Deno.test("TestNetwork stops all nodes when some cannot be stopped, and throws why", async () => {
  const net = await createTestNetwork();
  const nodes = [await net.node(), await net.node(), await net.node()];
  for (const node of nodes.slice(0, 2)) {
    const stop = node.stop.bind(node);
    node.stop = async (options) => {
      await stop(options);
      throw new Error("the disk is gone");
    };
  }
  await assert.rejects(async () => await net[Symbol.asyncDispose](), {
    name: "AggregateError",
    message: "the disk is gone; the disk is gone",
  });
  assert.deepEqual(nodes.map(({ isRunning }) => isRunning), [false, false, false]);
});
