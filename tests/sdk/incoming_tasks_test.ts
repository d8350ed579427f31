// What becomes of tasks when many come at once, and when they come again.
import assert from "node:assert/strict";
import { CodedError } from "../../core/errors.ts";
import type { RpcHandlers } from "../../rpc/rpc_service.ts";
import { TaskStatus } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import type { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { Node, type TaskHandler, type TaskHandlerOptions } from "../../sdk/mod.ts";
import { FakeDaemon, type TaskInit } from "../support/fake_daemon.ts";
import { untilHolds } from "../support/patience.ts";

/** What a handler with the default `maxConcurrent` takes before it is full: running and waiting. */
const ROOM = 16 + 1_000;

function taskInit(taskId: string, { skill = "", text = "hi", status = TaskStatus.SUBMITTED } = {}): TaskInit {
  const parts = [{ content: { case: "textPart" as const, value: { text } } }];
  return { taskId, contextId: "c", status, messages: [{ role: 1, parts }], targetSkillId: skill };
}

/** A daemon that has kept tasks for whoever comes. */
class Backlog {
  /** How many of them were taken out to be sent. */
  sent = 0;
  /** Resolves when more were than a handler has room for. */
  readonly overfull = Promise.withResolvers<void>();
  /** Whether the subscription is over. */
  readonly unsubscribed = Promise.withResolvers<void>();

  constructor(readonly tasks: readonly TaskInit[]) {}

  readonly subscribe: RpcHandlers<typeof NodeService>["subscribeIncomingTasks"] = (_request, { signal }) => {
    signal.addEventListener("abort", () => this.unsubscribed.resolve(), { once: true });
    return this.#deliver();
  };

  async *#deliver() {
    for (const task of this.tasks) {
      if (++this.sent > ROOM) this.overfull.resolve();
      yield { task };
    }
    await this.unsubscribed.promise;
  }
}

interface Setup extends AsyncDisposable {
  readonly daemon: FakeDaemon;
  readonly node: Node;
  readonly reports: string[];
}

/** A started node with `handlers`. */
async function setUp(
  handlers: [TaskHandler, TaskHandlerOptions?][],
  overrides: Partial<RpcHandlers<typeof NodeService>> = {},
): Promise<Setup> {
  const daemon = await new FakeDaemon(overrides).start();
  const reports: string[] = [];
  const onStatus = ({ state, message }: { state: string; message: string }) => {
    if (state === "error") reports.push(message);
  };
  const node = new Node({ daemonAddr: daemon.address, graceMs: 0, onStatus });
  for (const [handler, options] of handlers) node.onTask(handler, options);
  await node.start();
  const stop = async () => {
    await node.stop();
    await daemon.stop();
  };
  return { daemon, node, reports, [Symbol.asyncDispose]: stop };
}

const reaches = (net: Setup, taskId: string, status: TaskStatus) =>
  net.daemon.until(() => net.daemon.task(taskId)?.status === status);

Deno.test("onTask() takes every task of a long backlog, and reads no more than it has room for", async () => {
  const text = "x".repeat(64 * 1024); // so that what is under way does not hold the rest
  const backlog = new Backlog(Array.from({ length: 1_200 }, (_, i) => taskInit(`t${i}`, { text })));
  const gate = Promise.withResolvers<void>();
  const order: string[] = [];
  await using net = await setUp([[async (task) => {
    order.push(task.taskId);
    await gate.promise;
    await task.complete();
  }]], { subscribeIncomingTasks: backlog.subscribe });
  await net.daemon.until(() => net.daemon.called("updateTaskStatus").length === 16);
  await backlog.overfull.promise;
  for (let before = 0; before < backlog.sent;) { // until what fits in between is under way
    before = backlog.sent;
    await net.node.getTask("t0"); // calls go through while the stream is not read
  }
  assert.ok(backlog.sent < 1_200, `${backlog.sent} sent`);
  gate.resolve();
  await net.daemon.until(() => net.daemon.called("completeTask").length === 1_200);
  assert.deepEqual(order, backlog.tasks.map(({ taskId }) => taskId));
  const statuses = net.daemon.called("updateTaskStatus").map(({ status }) => status);
  assert.deepEqual(new Set(statuses), new Set([TaskStatus.WORKING]));
  assert.deepEqual(net.reports, []);
});

Deno.test("Node.stop() ends the wait for room, and the node goes on with the same handlers", async () => {
  const busy = (name: string) => taskInit(name, { skill: "busy" });
  const other = (name: string) => taskInit(name, { skill: "other" });
  const backlog = new Backlog([
    ...Array.from({ length: ROOM }, (_, i) => busy(`t${i}`)),
    ...[other("before"), busy("one too many"), other("behind")],
  ]);
  const ran: string[] = [];
  await using net = await setUp([
    [async (task) => {
      await task.updateStatus("working");
      await new Promise<void>((resolve) => task.signal.addEventListener("abort", () => resolve()));
    }, { skill: "busy" }],
    [(task) => {
      ran.push(task.taskId);
      return task.complete();
    }, { skill: "other" }],
  ], { subscribeIncomingTasks: backlog.subscribe });
  await reaches(net, "before", TaskStatus.COMPLETED);
  await net.node.getTask("before"); // what has come before the answer has been looked at
  assert.deepEqual(ran, ["before"]);
  await net.node.stop();
  await backlog.unsubscribed.promise;
  assert.equal(net.daemon.task("t16"), undefined); // its turn came after the end
  await net.node.start();
  await net.daemon.until(() => net.daemon.called("subscribeIncomingTasks").length === 2);
  await net.daemon.until(() =>
    net.daemon.called("completeTask").filter(({ taskId }) => taskId === "before").length === 2
  );
  assert.deepEqual(net.reports, []);
});

Deno.test("onTask() goes on with a task that an earlier process worked on, and says working again", async () => {
  await using net = await setUp([[(task) => task.complete(task.text)]]);
  await net.daemon.until(() => net.daemon.listeners === 1);
  net.daemon.deliver({ task: taskInit("t", { status: TaskStatus.WORKING }) });
  await reaches(net, "t", TaskStatus.COMPLETED);
  assert.deepEqual(net.daemon.called("updateTaskStatus").map(({ status }) => status), [TaskStatus.WORKING]);
});

Deno.test("onTask() skips a task that an earlier process worked on when it is over by its turn", async () => {
  let ran = 0;
  await using net = await setUp([[() => void ran++]], {
    updateTaskStatus: () => {
      throw new CodedError("failed_precondition", "the task is over");
    },
    getTask: () => ({ task: taskInit("t", { status: TaskStatus.CANCELED }) }),
  });
  await net.daemon.until(() => net.daemon.listeners === 1);
  net.daemon.deliver({ task: taskInit("t", { status: TaskStatus.WORKING }) });
  await net.daemon.until(() => net.daemon.called("getTask").length === 1);
  await net.node.stop();
  assert.equal(ran, 0);
});

Deno.test("onTask() runs a task once when the daemon offers it again after a lost connection", async () => {
  const gate = Promise.withResolvers<void>();
  const ran: string[] = [];
  await using net = await setUp([[async (task) => {
    ran.push(task.taskId);
    if (task.taskId === "slow") await gate.promise;
    await task.complete();
  }]]);
  await net.daemon.until(() => net.daemon.listeners === 1);
  net.daemon.deliver({ task: taskInit("slow") });
  net.daemon.deliver({ task: taskInit("quick") });
  await reaches(net, "quick", TaskStatus.COMPLETED);
  for (
    const lose of [() => net.daemon.endStreams(), () => net.daemon.stop().then(() => net.daemon.start())]
  ) {
    const before = net.daemon.called("subscribeIncomingTasks").length;
    await lose();
    await net.daemon.until(() => net.daemon.called("subscribeIncomingTasks").length === before + 1);
    await net.daemon.until(() => net.daemon.listeners === 1);
    for (const taskId of ["slow", "quick"]) {
      net.daemon.deliver({ task: taskInit(taskId, { status: TaskStatus.WORKING }) });
    }
    net.daemon.deliver({ task: taskInit(`new ${before}`) });
    await reaches(net, `new ${before}`, TaskStatus.COMPLETED);
  }
  gate.resolve();
  await reaches(net, "slow", TaskStatus.COMPLETED);
  assert.deepEqual(ran, ["slow", "quick", "new 1", "new 2"]);
});

Deno.test("onTask() takes a task again that it could not answer", async () => {
  let failures = 1;
  await using net = await setUp([[(task) => task.complete()]], {
    completeTask: () => {
      throw new CodedError("unavailable", "not now");
    },
    failTask: ({ taskId }) => {
      if (failures-- > 0) throw new CodedError("unavailable", "not now");
      net.daemon.update(taskId, { status: TaskStatus.FAILED });
      return {};
    },
  });
  await net.daemon.until(() => net.daemon.listeners === 1);
  net.daemon.deliver({ task: taskInit("t") });
  await net.daemon.until(() => net.daemon.called("failTask").length === 1);
  await untilHolds(() => net.reports.length > 0);
  net.daemon.deliver({ task: taskInit("t", { status: TaskStatus.WORKING }) });
  await reaches(net, "t", TaskStatus.FAILED);
  assert.match(net.reports[0] ?? "", /Task t could not be answered: not now/);
});
