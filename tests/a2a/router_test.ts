import assert from "node:assert/strict";
import type { Candidates, RouteFinder, Task } from "../../a2a/mod.ts";
import type { KvStore } from "../../kv/mod.ts";
import { createMemoryKvStore } from "../../kv/mod.ts";
import { collect, EngineNet, type EngineNode, textMessage } from "../support/engine_net.ts";

const route = { skillId: "translate", tags: {} };

/** A finder that knows `peerIds`, in that order, and notes what it is told. */
function finderOf(...peerIds: string[]) {
  const noted: string[] = [];
  const finder = {
    peerIds,
    unasked: "",
    noted,
    find: (): Promise<Candidates> =>
      Promise.resolve({ peerIds: [...finder.peerIds], unasked: finder.unasked }),
    note: (peerId: string, outcome: string) => void noted.push(`${peerId} ${outcome}`),
  };
  return finder satisfies RouteFinder;
}

function sendToSkill(node: EngineNode): Promise<Task> {
  return node.engine.sendTask({ peerId: "", route, message: textMessage("hi") });
}

/** How the task stands with each of `nodes`; undefined where it is not. */
async function statuses(taskId: string, ...nodes: EngineNode[]): Promise<(string | undefined)[]> {
  return await Promise.all(
    nodes.map(({ engine }) => engine.getTask(taskId).then(({ status }) => status, () => undefined)),
  );
}

async function waiting(node: EngineNode): Promise<number> {
  return (await Array.fromAsync(node.kv.list(["outbox"]))).length;
}

Deno.test("sendTask() gives a task for a skill to the first agent that can be reached", async () => {
  await using net = new EngineNet();
  const finder = finderOf("gone", "b", "c");
  const [a, b, c] = [await net.start("a", { finder }), await net.start("b"), await net.start("c")];
  const { taskId, peerId, targetSkillId } = await sendToSkill(a);
  assert.deepEqual([peerId, targetSkillId], ["", "translate"]);
  await net.settle();
  assert.deepEqual(await statuses(taskId, a, b, c), ["submitted", "submitted", undefined]);
  assert.equal((await a.engine.getTask(taskId)).peerId, "b");
  assert.deepEqual(finder.noted, ["gone unreachable", "b taken"]);
  await b.engine.completeTask(taskId, { artifacts: [] });
  await net.settle();
  assert.equal((await a.engine.getTask(taskId)).status, "completed");
});

Deno.test("sendTask() refuses a skill that nobody offers, and takes one that somebody unasked may offer", async () => {
  await using net = new EngineNet();
  const finder = finderOf();
  const a = await net.start("a", { finder });
  await assert.rejects(sendToSkill(a), { code: "not_found", message: /No agent offers the skill translate/ });
  finder.unasked = "the registry does not answer";
  const { taskId } = await sendToSkill(a);
  await net.pass(30_000, { steps: 10 });
  finder.peerIds = ["b"];
  const b = await net.start("b");
  await net.pass(5_000, { steps: 10 });
  assert.deepEqual(await statuses(taskId, a, b), ["submitted", "submitted"]);
});

Deno.test("sendTask() to a skill is unimplemented where nothing looks for agents", async () => {
  await using net = new EngineNet();
  await assert.rejects(sendToSkill(await net.start("a")), { code: "unimplemented" });
});

Deno.test("a task whose agent refuses it goes to the next one, and to none twice", async () => {
  await using net = new EngineNet();
  net.legacy.add("b");
  const finder = finderOf("b", "c", "d");
  const [a, b, c, d] = [
    await net.start("a", { finder }),
    await net.start("b"),
    await net.start("c"),
    await net.start("d"),
  ];
  const { taskId } = await sendToSkill(a);
  await net.settle();
  await b.engine.updateTask(taskId, { status: "rejected", message: textMessage("not today", "agent") });
  await net.settle();
  await c.engine.updateTask(taskId, { status: "rejected" });
  await net.settle();
  assert.deepEqual(await statuses(taskId, a, b, c, d), ["submitted", "rejected", "rejected", "submitted"]);
  await d.engine.updateTask(taskId, { status: "rejected", message: textMessage("nor me", "agent") });
  await net.settle();
  const { status, errorMessage } = await a.engine.getTask(taskId);
  assert.equal(status, "rejected");
  assert.match(
    errorMessage,
    /b refused it: not today; c refused it: it gave no reason; d refused it: nor me/,
  );
  assert.equal(await waiting(a), 0);
});

Deno.test("a task goes on from an agent that rejects it before it has said anything, not after", async () => {
  await using net = new EngineNet();
  const finder = finderOf("b", "c");
  const [a, b] = [await net.start("a", { finder }), await net.start("b")];
  const c = await net.start("c");
  const first = await sendToSkill(a);
  const seen = collect(a.engine.subscribe(first.taskId));
  await net.settle();
  await b.engine.updateTask(first.taskId, { status: "working" });
  await b.engine.updateTask(first.taskId, { status: "rejected" });
  await net.settle();
  await c.engine.completeTask(first.taskId, { artifacts: [] });
  await net.settle();
  await seen.done;
  assert.deepEqual(seen.seen.map(({ status }) => status), ["submitted", "working", "submitted", "completed"]);
  const second = await sendToSkill(a);
  await net.settle();
  await b.engine.updateTask(second.taskId, { status: "working", message: textMessage("half", "agent") });
  await b.engine.updateTask(second.taskId, { status: "rejected" });
  await net.settle();
  assert.deepEqual(await statuses(second.taskId, a, b, c), ["rejected", "rejected", undefined]);
});

Deno.test("a task that its agent has begun stays with it, whatever becomes of it", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a", { finder: finderOf("b", "c") }), await net.start("b")];
  const c = await net.start("c");
  const { taskId } = await sendToSkill(a);
  await net.settle();
  await b.engine.updateTask(taskId, { status: "working" });
  await net.settle();
  await net.stop("b");
  await net.pass(600_000, { steps: 20 });
  assert.deepEqual(await statuses(taskId, a, c), ["working", undefined]);
});

Deno.test("a task whose arrival is not known goes to nobody else and ends honestly", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a", { finder: finderOf("b", "c") }), await net.start("b")];
  const c = await net.start("c");
  net.fate = (from, to) => from === "a" && to === "b" ? "lose_answer" : "pass";
  const { taskId } = await sendToSkill(a);
  await net.settle();
  net.reachable = (from, to) => from !== "a" || to !== "b";
  await net.cut();
  await net.pass(120_000, { steps: 20 });
  assert.deepEqual(await statuses(taskId, a, b, c), ["submitted", "submitted", undefined]);
  await net.pass(300_000, { steps: 20 });
  const { status, errorMessage } = await a.engine.getTask(taskId);
  assert.equal(status, "failed");
  assert.match(errorMessage, /b did not acknowledge it in time/);
  net.reachable = () => true;
  net.fate = () => "pass";
  await net.pass(120_000, { steps: 20 });
  assert.deepEqual(await statuses(taskId, b, c), ["failed", undefined], "its agent is told");
});

Deno.test("a task whose agent has no room goes to another one, else waits for it", async () => {
  await using net = new EngineNet();
  const finder = finderOf("b", "c");
  const [a, b] = [await net.start("a", { finder }), await net.start("b")];
  const c = await net.start("c");
  net.fate = (_from, to, { body }) => body.type === "send_task" && to === "b" ? "busy" : "pass";
  const first = await sendToSkill(a);
  await net.pass(1_000, { steps: 4 });
  assert.deepEqual(await statuses(first.taskId, a, b, c), ["submitted", undefined, "submitted"]);
  net.fate = (_from, _to, { body }) => body.type === "send_task" ? "busy" : "pass";
  const second = await sendToSkill(a);
  await net.pass(20_000, { steps: 10 });
  net.fate = () => "pass";
  await net.pass(20_000, { steps: 10 });
  const [at, ...there] = await statuses(second.taskId, a, b, c);
  assert.deepEqual([at, there.filter(Boolean)], ["submitted", ["submitted"]]);
  assert.equal(await waiting(a), 0);
});

Deno.test("a task leaves an agent that is gone before it got it", async () => {
  await using net = new EngineNet();
  const finder = finderOf("b", "c");
  const [a, c] = [await net.start("a", { finder }), await net.start("c")];
  await net.start("b");
  // Its connection opens and is gone when the task is to leave.
  let opened = 0;
  net.reachable = (_from, to) => to !== "b" || opened++ === 0;
  const { taskId } = await sendToSkill(a);
  await net.pass(5_000, { steps: 20 });
  assert.deepEqual(await statuses(taskId, a, c), ["submitted", "submitted"]);
  assert.equal((await a.engine.getTask(taskId)).peerId, "c");
  assert.equal(await waiting(a), 0);
});

Deno.test("a task for a skill survives a restart of its sender and still goes to one agent", async () => {
  await using net = new EngineNet();
  const finder = finderOf();
  finder.unasked = "not yet";
  const kv = createMemoryKvStore();
  const a = await net.start("a", { finder, kv });
  const { taskId } = await sendToSkill(a);
  await net.settle();
  await net.stop("a");
  finder.peerIds = ["b", "c"];
  const [again, b] = [await net.start("a", { finder, kv }), await net.start("b")];
  await net.pass(5_000, { steps: 10 });
  assert.deepEqual(await statuses(taskId, again, b), ["submitted", "submitted"]);
  await again.engine.cancelTask(taskId);
  await net.settle();
  assert.deepEqual(await statuses(taskId, again, b), ["canceled", "canceled"]);
});

Deno.test("a task for a skill ends when nobody is left, and at once when it is called off or late", async () => {
  await using net = new EngineNet();
  const finder = finderOf("b");
  const a = await net.start("a", { finder });
  const message = textMessage("hi");
  const deadlineMs = net.clock.now() + 1_000;
  const [unreached, cancelled, late] = [
    await sendToSkill(a),
    await sendToSkill(a),
    await a.engine.sendTask({ peerId: "", route, message, deadlineMs }),
  ];
  assert.equal((await a.engine.cancelTask(cancelled.taskId)).status, "canceled");
  await net.pass(2_000, { steps: 8 });
  assert.equal((await a.engine.getTask(late.taskId)).status, "failed");
  await net.pass(61_000, { steps: 20 });
  const { status, errorMessage } = await a.engine.getTask(unreached.taskId);
  assert.equal(status, "failed");
  assert.match(errorMessage, /No agent took the task for the skill translate: b cannot be reached/);
});

Deno.test("sendTask() to a skill with an id is one task, and its answer finds the agent", async () => {
  await using net = new EngineNet();
  const [a, b] = [await net.start("a", { finder: finderOf("b") }), await net.start("b")];
  const request = { peerId: "", route, taskId: "t1", message: textMessage("hi") };
  await Promise.all([a.engine.sendTask(request), a.engine.sendTask(request)]);
  await net.settle();
  assert.equal(a.sent.filter(({ body }) => body.type === "send_task").length, 1);
  await b.engine.updateTask("t1", { status: "input_required", message: textMessage("into what?", "agent") });
  await net.settle();
  const answer = textMessage("French");
  await a.engine.sendTask({ ...request, message: answer });
  await net.settle();
  assert.equal((await b.engine.getTask("t1")).messages.at(-1)?.messageId, answer.messageId);
  const other = { ...request, route: { skillId: "sing", tags: {} }, message: textMessage("la") };
  await assert.rejects(a.engine.sendTask(other), { code: "already_exists" });
});

/** A store whose `nth` commit is the last one: before it, or after it, `onDeath` is called and nothing works any more. */
function dyingStore(kv: KvStore, nth: number, when: "before" | "after", onDeath: () => void): KvStore {
  let commits = 0;
  const die = (): never => {
    onDeath();
    throw new Error("the engine is dead");
  };
  return {
    get: (key) => commits >= nth ? Promise.resolve().then(die) : kv.get(key),
    list: (prefix, options) => kv.list(prefix, options),
    commit: async (operations) => {
      commits++;
      if (commits > nth || (commits === nth && when === "before")) return die();
      const committed = await kv.commit(operations);
      return commits === nth ? die() : committed;
    },
    [Symbol.asyncDispose]: () => kv[Symbol.asyncDispose](),
  };
}

Deno.test("a task for a skill has one agent however its sender dies while it goes from one to the next", async () => {
  for (const when of ["before", "after"] as const) {
    let deaths = 0;
    for (let nth = 1;; nth++) {
      const life = await liveAndDie(nth, when);
      if (!life.died) break;
      deaths++;
      const where = `the sender died ${when} commit ${nth}: ${JSON.stringify(life)}`;
      assert.ok(life.agents.length <= 1, where);
      if (life.taken) assert.equal(life.status, "completed", where);
    }
    assert.ok(deaths >= 4, `${deaths} deaths are too few`);
  }
});

/** `b` rejects, `c` does the task; the sender dies at a commit and comes back. */
async function liveAndDie(nth: number, when: "before" | "after") {
  await using net = new EngineNet();
  const finder = finderOf("b", "c");
  const kv = createMemoryKvStore();
  let died = false;
  const store = dyingStore(kv, nth, when, () => {
    died = true;
    net.reachable = (from, to) => from !== "a" && to !== "a";
  });
  const agents = [await net.start("b"), await net.start("c")];
  const ran: string[] = [];
  const serve = async () => {
    for (const { name, engine } of agents) {
      const task = await engine.getTask("t1").catch(() => undefined);
      if (task?.status !== "submitted") continue;
      if (name === "b") await engine.updateTask("t1", { status: "rejected" });
      else {
        ran.push(name);
        await engine.completeTask("t1", { artifacts: [] });
      }
    }
    await net.settle();
  };
  const rounds = async () => {
    for (let round = 0; round < 3; round++) {
      await net.pass(20_000);
      await serve();
    }
  };
  let taken = false;
  const first = await net.start("a", { finder, kv: store });
  first.engine.sendTask({ peerId: "", route, taskId: "t1", message: textMessage("hi") })
    .then(() => taken = true, () => {});
  await rounds();
  await net.stop("a"); // its store is dead: it leaves nothing behind
  net.reachable = () => true;
  const again = await net.start("a", { finder, kv });
  await rounds();
  const status = await again.engine.getTask("t1").then((task) => task.status, () => undefined);
  return { died, taken, status, agents: ran };
}

Deno.test("sendTask() to a skill passes over agents that it may not send to, and says so when none is left", async () => {
  await using net = new EngineNet();
  const finder = finderOf("b", "c");
  const denied = new Set(["b"]);
  const a = await net.start("a", {
    finder,
    admitSend: ({ peerId, isChoice }) =>
      isChoice && denied.has(peerId) ? { code: "permission_denied", reason: "rule 1" } : undefined,
  });
  const [b, c] = [await net.start("b"), await net.start("c")];
  const { taskId } = await sendToSkill(a);
  await net.settle();
  assert.deepEqual(await statuses(taskId, a, b, c), ["submitted", undefined, "submitted"]);
  denied.add("c");
  const second = await sendToSkill(a);
  await net.pass(20_000, { steps: 20 });
  const { status, errorMessage } = await a.engine.getTask(second.taskId);
  assert.equal(status, "failed");
  assert.match(errorMessage, /may not be sent to c: rule 1/);
});

Deno.test("a task for a skill still goes to an agent when the store failed as it was to be given to one", async () => {
  await using net = new EngineNet();
  const kv = createMemoryKvStore();
  let isFull = false;
  const store: KvStore = {
    get: (key) => kv.get(key),
    list: (prefix, options) => kv.list(prefix, options),
    commit: (operations) => isFull ? Promise.reject(new Error("disk full")) : kv.commit(operations),
    [Symbol.asyncDispose]: () => kv[Symbol.asyncDispose](),
  };
  const finder = {
    ...finderOf(),
    find: (_query: unknown, { isTurn }: { isTurn: boolean }) => {
      isFull = isTurn;
      return Promise.resolve({ peerIds: ["b"], unasked: "" });
    },
  };
  const [a, b] = [await net.start("a", { finder, kv: store }), await net.start("b")];
  const { taskId } = await sendToSkill(a);
  await net.settle();
  assert.deepEqual(await statuses(taskId, a, b), ["submitted", undefined]);
  assert.ok(a.logged.some((line) => line.includes("could not be given to an agent")));
  finder.find = () => Promise.resolve({ peerIds: ["b"], unasked: "" });
  isFull = false;
  await net.pass(6 * 60_000, { steps: 10 });
  assert.deepEqual(await statuses(taskId, a, b), ["submitted", "submitted"]);
});
