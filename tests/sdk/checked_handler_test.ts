// Handlers whose input is checked, what runs around them, and how they end with their node.
import assert from "node:assert/strict";
import { z } from "zod";
import type { RpcHandlers } from "../../rpc/rpc_service.ts";
import { TaskStatus } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import type { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { type JsonObject, Node, type NodeOptions } from "../../sdk/mod.ts";
import { FakeDaemon, type TaskInit, textPart } from "../support/fake_daemon.ts";

const WEATHER: JsonObject = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer", minimum: 1 } },
  required: ["city"],
  additionalProperties: false,
};
const CARD = { name: "Weather", skills: [{ id: "weather", inputSchema: JSON.stringify(WEATHER) }] };

interface Setup extends AsyncDisposable {
  readonly daemon: FakeDaemon;
  readonly node: Node;
}

/** A node that `prepare` gives its handlers, listening. */
async function setUp(
  prepare: (node: Node) => void,
  { overrides = {}, ...options }: NodeOptions & { overrides?: Partial<RpcHandlers<typeof NodeService>> } = {},
): Promise<Setup> {
  const daemon = await new FakeDaemon(overrides).start();
  const node = new Node({ daemonAddr: daemon.address, card: CARD, ...options });
  prepare(node);
  await node.start();
  await daemon.until(() => daemon.listeners === 1);
  const stop = async () => {
    await node.stop({ graceMs: 0 });
    await daemon.stop();
  };
  return { daemon, node, [Symbol.asyncDispose]: stop };
}

function taskInit(taskId: string, request: string | JsonObject, skill = "weather"): TaskInit {
  const part = typeof request === "string"
    ? textPart(request)
    : { content: { case: "dataPart" as const, value: { data: request } } };
  const messages = [{ messageId: "m", role: 1, parts: [part] }];
  return { taskId, contextId: "c", status: TaskStatus.SUBMITTED, messages, targetSkillId: skill };
}

const reaches = (net: Setup, taskId: string, status: TaskStatus) =>
  net.daemon.until(() => net.daemon.task(taskId)?.status === status);

/** What the sender was told when its tasks were rejected. */
const reasons = ({ daemon }: Setup) =>
  daemon.called("updateTaskStatus").filter(({ status }) => status === TaskStatus.REJECTED)
    .map(({ message }) =>
      (message as { parts: { content: { value: { text: string } } }[] }).parts[0]?.content.value.text
    );

Deno.test("onTask() gives a handler with a Standard Schema what that makes of the input, and rejects the rest", async () => {
  const seen: { city: string; days: number }[] = [];
  const input = z.object({ city: z.string().trim(), days: z.number().default(3) });
  await using net = await setUp((node) =>
    node.onTask((task) => {
      seen.push(task.input); // typed by the schema
      return task.complete(task.input.city.toUpperCase());
    }, { skill: "weather", input })
  );
  net.daemon.deliver({ task: taskInit("data", { city: " Rome " }) });
  net.daemon.deliver({ task: taskInit("text", ' {"city": "Oslo", "days": 1}') });
  net.daemon.deliver({ task: taskInit("bad", { city: 5 }) });
  await reaches(net, "data", TaskStatus.COMPLETED);
  await reaches(net, "text", TaskStatus.COMPLETED);
  await reaches(net, "bad", TaskStatus.REJECTED);
  assert.deepEqual(seen, [{ city: "Rome", days: 3 }, { city: "Oslo", days: 1 }]);
  assert.match(reasons(net)[0] ?? "", /^The input does not fit its schema: \/city .*expected string/);
});

Deno.test("onTask() checks the input against the skill's schema on the card", async () => {
  const seen: unknown[] = [];
  await using net = await setUp((node) =>
    node.onTask((task) => {
      seen.push(task.input);
      return task.complete();
    }, { skill: "weather", input: "card" })
  );
  net.daemon.deliver({ task: taskInit("good", { city: "Rome", days: 2 }) });
  net.daemon.deliver({ task: taskInit("text", "How is it in Rome?") });
  net.daemon.deliver({ task: taskInit("more", { city: "Rome", zip: "1" }) });
  net.daemon.deliver({ task: taskInit("low", { city: "Rome", days: 0 }) });
  await reaches(net, "good", TaskStatus.COMPLETED);
  for (const taskId of ["text", "more", "low"]) await reaches(net, taskId, TaskStatus.REJECTED);
  assert.deepEqual(seen, [{ city: "Rome", days: 2 }]);
  assert.deepEqual(reasons(net), [
    "The input does not fit its schema: it must be object",
    "The input does not fit its schema: it must NOT have additional properties (zip)",
    "The input does not fit its schema: /days must be >= 1",
  ]);
  await net.node.setCard({ name: "Free", skills: [{ id: "weather", inputSchema: "{}" }] });
  net.daemon.deliver({ task: taskInit("free", "Rome") });
  await reaches(net, "free", TaskStatus.COMPLETED);
});

Deno.test("onTask() takes a JSON Schema of draft 7 as such", async () => {
  const input = { $schema: "http://json-schema.org/draft-07/schema#", items: [{ type: "string" }] };
  await using net = await setUp((node) => node.onTask((task) => task.complete(), { input }));
  net.daemon.deliver({ task: taskInit("good", '["a", 1]') });
  net.daemon.deliver({ task: taskInit("bad", "[1]") });
  await reaches(net, "good", TaskStatus.COMPLETED);
  await reaches(net, "bad", TaskStatus.REJECTED);
});

Deno.test("Node.start() throws when the schema of a handler is none or is missing on the card", async () => {
  const start = (input: JsonObject | "card", card = CARD) => {
    const node = new Node({ daemonAddr: "tcp://127.0.0.1:1", card });
    node.onTask(() => {}, { skill: "weather", input });
    return node.start();
  };
  await assert.rejects(start({ type: "strange" }), { code: "invalid_argument", message: /JSON Schema/ });
  await assert.rejects(start("card", { name: "None", skills: [] }), { code: "invalid_argument" });
  const broken = { name: "Broken", skills: [{ id: "weather", inputSchema: "[1]" }] };
  await assert.rejects(start("card", broken), { code: "invalid_argument", message: /\[1\]/ });
  assert.throws(() => new Node().onTask(() => {}, { input: "card" }), TypeError);
});

Deno.test("use() puts middleware around every handler, the first outermost", async () => {
  const order: string[] = [];
  const through = Promise.withResolvers<void>();
  await using net = await setUp((node) => {
    for (const name of ["outer", "inner"]) {
      node.use(async (task, next) => {
        order.push(`${name} in`);
        if (task.text === "no" && name === "inner") return await task.reject("not for you");
        await next();
        order.push(`${name} out`);
        if (name === "outer") through.resolve();
      });
    }
    node.onTask((task) => {
      order.push("handler");
      return task.complete();
    });
  });
  net.daemon.deliver({ task: taskInit("yes", "yes") });
  await reaches(net, "yes", TaskStatus.COMPLETED);
  await through.promise;
  assert.deepEqual(order.splice(0), ["outer in", "inner in", "handler", "inner out", "outer out"]);
  net.daemon.deliver({ task: taskInit("no", "no") });
  await reaches(net, "no", TaskStatus.REJECTED);
  assert.deepEqual(order.slice(0, 2), ["outer in", "inner in"]);
  assert.equal(order.includes("handler"), false);
});

Deno.test("use() fails the task with what the middleware throws, also for a second next()", async () => {
  await using net = await setUp((node) => {
    node.use(async (task, next) => {
      if (task.text === "throw") throw new Error("closed today");
      await next();
      await next();
    });
    node.onTask(() => {});
  });
  net.daemon.deliver({ task: taskInit("t1", "throw") });
  net.daemon.deliver({ task: taskInit("t2", "twice") });
  await reaches(net, "t1", TaskStatus.FAILED);
  await reaches(net, "t2", TaskStatus.FAILED);
  assert.equal(net.daemon.task("t1")?.errorMessage, "closed today");
  assert.match(net.daemon.task("t2")?.errorMessage ?? "", /next\(\) twice/);
});

Deno.test("Node.stop() lets handlers finish, who still use the node, and leaves new tasks with the daemon", async () => {
  const gate = Promise.withResolvers<void>();
  const begun: string[] = [];
  await using net = await setUp((node) =>
    node.onTask(async (task) => {
      begun.push(task.taskId);
      await task.updateStatus("working");
      await gate.promise;
      const known = await node.getTask(task.taskId);
      await task.complete(`${known.status} ${task.signal.aborted}`);
    }, { maxConcurrent: 1 })
  );
  net.daemon.deliver({ task: taskInit("running", "a") });
  net.daemon.deliver({ task: taskInit("waiting", "b") });
  await reaches(net, "running", TaskStatus.WORKING);
  const stopped = net.node.stop({ graceMs: 60_000 });
  await net.daemon.until(() => net.daemon.listeners === 0);
  net.daemon.deliver({ task: taskInit("late", "c") });
  assert.equal(net.daemon.task("running")?.status, TaskStatus.WORKING);
  gate.resolve();
  await stopped;
  assert.equal(net.daemon.task("running")?.status, TaskStatus.COMPLETED);
  assert.match(JSON.stringify(net.daemon.called("completeTask")[0]?.artifacts), /working false/);
  assert.deepEqual(begun, ["running"]);
  assert.equal(net.daemon.task("waiting")?.status, TaskStatus.SUBMITTED);
  await assert.rejects(net.node.getTask("running"), { code: "failed_precondition" });
});

Deno.test("Node.stop() ends handlers when their grace is over, or a second call gives none", async () => {
  for (const secondCall of [false, true]) {
    const reason = Promise.withResolvers<unknown>();
    await using net = await setUp((node) =>
      node.onTask(async (task) => {
        task.signal.addEventListener("abort", () => reason.resolve(task.signal.reason));
        await task.updateStatus("working");
        await reason.promise;
      })
    );
    net.daemon.deliver({ task: taskInit("t", "a") });
    await reaches(net, "t", TaskStatus.WORKING);
    const stopped = net.node.stop({ graceMs: secondCall ? 60_000 : 20 });
    if (secondCall) await net.node.stop({ graceMs: 0 });
    await stopped;
    assert.equal((await reason.promise as { code?: string }).code, "cancelled");
    assert.equal(net.daemon.task("t")?.status, TaskStatus.WORKING);
  }
});

Deno.test("Node.stop() does not wait for the answer to a question", async () => {
  await using net = await setUp((node) =>
    node.onTask(async (task) => {
      await task.ask("which?");
    })
  );
  net.daemon.deliver({ task: taskInit("t", "a") });
  await reaches(net, "t", TaskStatus.INPUT_REQUIRED);
  await net.node.stop({ graceMs: 2 ** 30 }); // the test would not end
  assert.equal(net.daemon.task("t")?.status, TaskStatus.INPUT_REQUIRED);
});

Deno.test("Node.stop() keeps the claims of handlers that finish, and lets go those of tasks that wait", async () => {
  const gate = Promise.withResolvers<void>();
  await using net = await setUp((node) =>
    node.onTask(async (task) => {
      await task.updateStatus("working");
      await gate.promise;
      await task.complete();
    }, { maxConcurrent: 1 }), { exclusive: true });
  net.daemon.deliver({ task: taskInit("t1", "a"), claimId: "c1", claimLeaseMs: 60_000 });
  net.daemon.deliver({ task: taskInit("t2", "b"), claimId: "c2", claimLeaseMs: 60_000 });
  await reaches(net, "t1", TaskStatus.WORKING);
  const stopped = net.node.stop({ graceMs: 60_000 });
  await net.daemon.until(() => net.daemon.called("renewClaims").length > 0);
  gate.resolve();
  await stopped;
  assert.ok((net.daemon.called("renewClaims")[0]?.claimIds as string[]).includes("c1"));
  assert.equal(net.daemon.task("t1")?.status, TaskStatus.COMPLETED);
  assert.equal(net.daemon.task("t2")?.status, TaskStatus.SUBMITTED);
});
