// Tasks under a claim, and questions inside a handler.
import assert from "node:assert/strict";
import { CodedError } from "../../core/errors.ts";
import type { RpcHandlers } from "../../rpc/rpc_service.ts";
import { TaskStatus } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import type { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { type ClaimedTask, Claims } from "../../sdk/claims.ts";
import { type IncomingTask, type Message, Node, type NodeOptions, type TaskHandler } from "../../sdk/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { FakeDaemon, type TaskInit, textPart } from "../support/fake_daemon.ts";
import { untilHolds } from "../support/patience.ts";

interface Setup extends AsyncDisposable {
  readonly daemon: FakeDaemon;
  readonly node: Node;
  readonly reports: string[];
}

type Overrides = Partial<RpcHandlers<typeof NodeService>>;

async function setUp(
  handler: TaskHandler,
  { overrides = {}, ...options }: NodeOptions & { overrides?: Overrides } = {},
): Promise<Setup> {
  const daemon = await new FakeDaemon(overrides).start();
  const reports: string[] = [];
  const node = new Node({
    daemonAddr: daemon.address,
    graceMs: 0,
    onStatus: ({ state, message }) => {
      if (state === "error") reports.push(message);
    },
    ...options,
  });
  node.onTask(handler, { maxConcurrent: 3 });
  node.onTask(handler, { skill: "other", maxConcurrent: 4 });
  await node.start();
  await daemon.until(() => daemon.listeners === 1);
  const stop = async () => {
    await node.stop();
    await daemon.stop();
  };
  return { daemon, node, reports, [Symbol.asyncDispose]: stop };
}

const taskInit = (taskId: string): TaskInit => ({
  taskId,
  contextId: "c",
  status: TaskStatus.SUBMITTED,
  messages: [{ messageId: "m", role: 1, parts: [textPart("hello")] }],
  peerId: "sender",
});

const reaches = (net: Setup, taskId: string, status: TaskStatus) =>
  net.daemon.until(() => net.daemon.task(taskId)?.status === status);

const askOnce: TaskHandler = async (task) => {
  const answer = await task.ask("which?");
  await task.complete(answer.parts.map(({ text }) => text).join());
};

const resultOf = ({ daemon }: Setup) =>
  (daemon.called("completeTask")[0]?.artifacts as { parts: { content: { value: { text: string } } }[] }[])[0]
    ?.parts[0]?.content.value.text;

Deno.test("Node with exclusive asks for as many claims as its handlers take, and names the claim in each change", async () => {
  const work = async (task: IncomingTask) => {
    await task.updateStatus("working");
    await task.complete();
  };
  await using net = await setUp(work, { exclusive: true });
  const [request] = net.daemon.called("subscribeIncomingTasks");
  assert.deepEqual([request?.exclusive, request?.maxClaims], [true, 7]);
  net.daemon.deliver({ task: taskInit("t"), claimId: "c1", claimLeaseMs: 60_000 });
  await reaches(net, "t", TaskStatus.COMPLETED);
  const changes = [...net.daemon.called("updateTaskStatus"), ...net.daemon.called("completeTask")];
  assert.deepEqual(changes.map(({ claimId }) => claimId), ["c1", "c1"]);
});

Deno.test("Node with exclusive runs no handler when its claim is not accepted, and takes a later offer", async () => {
  let refusals = 1;
  let runs = 0;
  await using net = await setUp((task) => {
    runs++;
    return task.complete();
  }, {
    exclusive: true,
    overrides: {
      updateTaskStatus: () => {
        if (refusals-- > 0) throw new CodedError("failed_precondition", "another worker has it");
        return {};
      },
    },
  });
  const task = { ...taskInit("t"), status: TaskStatus.WORKING };
  net.daemon.deliver({ task, claimId: "c1", claimLeaseMs: 60_000 });
  await net.daemon.until(() => net.daemon.called("updateTaskStatus").length === 1);
  await net.node.getTask("t"); // the refusal has arrived before this answer
  net.daemon.deliver({ task: taskInit("t"), claimId: "c2", claimLeaseMs: 60_000 });
  await reaches(net, "t", TaskStatus.COMPLETED);
  assert.equal(runs, 1);
});

Deno.test("Node with exclusive renews its claims, and a lost one aborts the handler and frees the task", async () => {
  const aborted = Promise.withResolvers<unknown>();
  let runs = 0;
  await using net = await setUp((task) => {
    if (++runs === 2) return task.complete();
    return new Promise((_, reject) => {
      task.signal.addEventListener("abort", () => {
        aborted.resolve(task.signal.reason);
        reject(task.signal.reason);
      }, { once: true });
    });
  }, { exclusive: true });
  net.daemon.deliver({ task: taskInit("t"), claimId: "c1", claimLeaseMs: 30 });
  await net.daemon.until(() => net.daemon.called("renewClaims").length === 2);
  net.daemon.lostClaims.add("c1");
  assert.equal((await aborted.promise as CodedError).code, "aborted");
  net.daemon.deliver({ task: taskInit("t"), claimId: "c2", claimLeaseMs: 60_000 });
  await reaches(net, "t", TaskStatus.COMPLETED);
  assert.equal(net.daemon.called("completeTask")[0]?.claimId, "c2");
});

Deno.test("Node with exclusive leaves tasks alone that come without a claim, and says so once", async () => {
  let runs = 0;
  await using net = await setUp(() => void runs++, { exclusive: true });
  net.daemon.deliver({ task: taskInit("t1") });
  net.daemon.deliver({ task: taskInit("t2") });
  await untilHolds(() => net.reports.length > 0);
  await net.node.getTask("t2");
  assert.equal(runs, 0);
  assert.deepEqual(net.reports.length, 1);
  assert.match(net.reports[0] ?? "", /gives no claims/);
});

Deno.test("Claims.renew() tells lost claims, and leaves those that got a new one or are settled", async () => {
  const clock = new FakeClock();
  const asked: (readonly string[])[] = [];
  const lost: string[] = [];
  const task = (taskId: string, claimId: string, settled = false): ClaimedTask & { claimId: string } => ({
    taskId,
    claimId,
    settled,
    abort: () => {},
  });
  const one = task("t1", "c1");
  const two = task("t2", "c2");
  const stop = new AbortController();
  const claims = new Claims<ClaimedTask>({
    clock,
    onLost: ({ taskId }) => lost.push(taskId),
    renew: (claimIds) => {
      asked.push(claimIds);
      two.claimId = "c2 again";
      return Promise.resolve(["c1", "c2"]);
    },
  }, stop.signal);
  for (const held of [one, two, task("t3", "c3", true)]) claims.hold(held, 30_000);
  await claims.renew();
  assert.deepEqual(asked, [["c1", "c2"]]);
  assert.deepEqual(lost, ["t1"]);
  stop.abort();
  await claims.ended();
});

for (const offered of [true, false]) {
  Deno.test(`IncomingTask.ask() gets the answer in the same run, with the task offered again: ${offered}`, async () => {
    let runs = 0;
    await using net = await setUp((task) => {
      runs++;
      return askOnce(task);
    });
    net.daemon.deliver({ task: taskInit("t") });
    await reaches(net, "t", TaskStatus.INPUT_REQUIRED);
    const task = net.daemon.answer("t", "this one");
    if (offered) net.daemon.deliver({ task });
    await reaches(net, "t", TaskStatus.COMPLETED);
    net.daemon.deliver({ task }); // late
    await net.node.getTask("t");
    assert.equal(runs, 1);
    assert.equal(resultOf(net), "this one");
    assert.deepEqual(net.daemon.called("updateTaskStatus").map(({ status }) => status), [
      TaskStatus.INPUT_REQUIRED,
      TaskStatus.WORKING,
    ]);
  });
}

Deno.test("IncomingTask.ask() goes on after the daemon was started again", async () => {
  await using net = await setUp(askOnce);
  net.daemon.deliver({ task: taskInit("t") });
  await net.daemon.until(() => net.daemon.watchers("t") === 1);
  await net.daemon.stop();
  net.daemon.answer("t", "meanwhile");
  await net.daemon.start();
  await reaches(net, "t", TaskStatus.COMPLETED);
  assert.equal(resultOf(net), "meanwhile");
});

Deno.test("IncomingTask.ask() throws when its time is over, the task ends or another question waits", async () => {
  const thrown: string[] = [];
  const record = (promise: Promise<Message>) =>
    promise.then(() => thrown.push("answer"), ({ name, code }) => thrown.push(`${name} ${code}`));
  await using net = await setUp(async (task) => {
    await record(task.ask("in time?", { timeoutMs: 20 }));
    const second = record(task.ask("second?"));
    await record(task.ask("third?"));
    await second;
    assert.equal(task.signal.aborted, true);
  });
  net.daemon.deliver({ task: taskInit("t") });
  await net.daemon.until(() => net.daemon.called("updateTaskStatus").length === 2);
  net.daemon.update("t", { status: TaskStatus.CANCELED });
  await net.daemon.until(() => net.daemon.watchers("t") === 0);
  await untilHolds(() => thrown.length === 3);
  assert.deepEqual(thrown, [
    "TaskTimeoutError deadline_exceeded",
    "AgentAnycastError failed_precondition",
    "AgentAnycastError cancelled",
  ]);
});

Deno.test("IncomingTask.complete() counts when the daemon took it and went away before it said so", async () => {
  let runs = 0;
  await using net = await setUp((task) => {
    runs++;
    return task.complete("done");
  }, {
    overrides: {
      completeTask: async ({ taskId }) => {
        if (net.daemon.task(taskId)?.status === TaskStatus.COMPLETED) {
          throw new CodedError("failed_precondition", "it has ended");
        }
        net.daemon.update(taskId, { status: TaskStatus.COMPLETED });
        await net.daemon.stop().then(() => net.daemon.start());
        return {};
      },
    },
  });
  net.daemon.deliver({ task: taskInit("t") });
  await net.daemon.until(() => net.daemon.called("completeTask").length === 2);
  await net.daemon.until(() => net.daemon.listeners === 1);
  await net.node.getTask("t");
  assert.equal(runs, 1);
  assert.equal(net.daemon.called("failTask").length, 0);
});
