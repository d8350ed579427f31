import assert from "node:assert/strict";
import { CodedError } from "../../core/errors.ts";
import type { RpcHandlers } from "../../rpc/rpc_service.ts";
import { TaskStatus } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import type { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { type IncomingTask, Node, type TaskHandler, type TaskHandlerOptions } from "../../sdk/mod.ts";
import { FakeDaemon, type TaskInit } from "../support/fake_daemon.ts";

interface Setup extends AsyncDisposable {
  readonly daemon: FakeDaemon;
  readonly node: Node;
  readonly reports: string[];
  /** Resolves with the first report. */
  readonly reported: Promise<string>;
}

type Handler = TaskHandler | [TaskHandler, TaskHandlerOptions];

/** A node with `handlers` that is listening. */
async function setUp(
  handlers: Handler[],
  overrides: Partial<RpcHandlers<typeof NodeService>> = {},
): Promise<Setup> {
  const daemon = await new FakeDaemon(overrides).start();
  const reports: string[] = [];
  const reported = Promise.withResolvers<string>();
  const node = new Node({
    daemonAddr: daemon.address,
    graceMs: 0,
    onStatus: ({ state, message }) => {
      if (state !== "error") return;
      reports.push(message);
      reported.resolve(message);
    },
  });
  for (const handler of handlers) {
    if (Array.isArray(handler)) node.onTask(...handler);
    else node.onTask(handler);
  }
  await node.start();
  await daemon.until(() => daemon.listeners === 1);
  return {
    daemon,
    node,
    reports,
    reported: reported.promise,
    [Symbol.asyncDispose]: async () => {
      await node.stop();
      await daemon.stop();
    },
  };
}

function taskInit(taskId: string, more: TaskInit = {}): TaskInit {
  const part = (text: string) => ({ content: { case: "textPart" as const, value: { text } } });
  return {
    taskId,
    contextId: "c",
    status: TaskStatus.SUBMITTED,
    messages: [{ messageId: "m", role: 1, parts: [part("hello"), part("world")] }],
    peerId: "sender",
    ...more,
  };
}

const reaches = (net: Setup, taskId: string, status: TaskStatus) =>
  net.daemon.until(() => net.daemon.task(taskId)?.status === status);

const statusesOf = (net: Setup) => net.daemon.called("updateTaskStatus").map(({ status }) => status);

Deno.test("onTask() gives the handler everything about the task, and says no more than its end when that comes soon", async () => {
  let seen: IncomingTask | undefined;
  await using net = await setUp([(task) => {
    seen = task;
    return task.complete("fine");
  }]);
  net.daemon.deliver({
    task: taskInit("t", { metadata: { k: "v" }, targetSkillId: "s" }),
    senderCard: { name: "Sender" },
  });
  await reaches(net, "t", TaskStatus.COMPLETED);
  assert.equal(seen?.text, "hello\nworld");
  assert.equal(seen?.peerId, "sender");
  assert.equal(seen?.contextId, "c");
  assert.equal(seen?.targetSkillId, "s");
  assert.equal(seen?.senderCard?.name, "Sender");
  assert.deepEqual(seen?.metadata, { k: "v" });
  assert.deepEqual(statusesOf(net), []);
  const [completion] = net.daemon.called("completeTask") as {
    artifacts: { parts: { content: unknown }[] }[];
  }[];
  assert.equal(completion?.artifacts.length, 1);
});

Deno.test("onTask() says working when the handler takes its time", async () => {
  const gate = Promise.withResolvers<void>();
  await using net = await setUp([async (task) => {
    await gate.promise;
    await task.complete();
  }]);
  net.daemon.deliver({ task: taskInit("t") });
  await reaches(net, "t", TaskStatus.WORKING);
  gate.resolve();
  await reaches(net, "t", TaskStatus.COMPLETED);
  assert.deepEqual(statusesOf(net), [TaskStatus.WORKING]);
});

Deno.test("onTask() says working when the handler returns without a word", async () => {
  await using net = await setUp([() => {}]);
  net.daemon.deliver({ task: taskInit("t") });
  await reaches(net, "t", TaskStatus.WORKING);
});

Deno.test("onTask() aborts the handler of a new task that turns out to be over", async () => {
  const aborted = Promise.withResolvers<void>();
  await using net = await setUp([async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    aborted.resolve();
  }], {
    updateTaskStatus: () => {
      throw new CodedError("failed_precondition", "the task is over");
    },
    getTask: () => ({ task: taskInit("t", { status: TaskStatus.CANCELED }) }),
  });
  net.daemon.deliver({ task: taskInit("t") });
  await aborted.promise;
});

Deno.test("onTask() fails the task with the message when the handler throws or rejects", async () => {
  await using net = await setUp([
    [() => {
      throw new Error("at once");
    }, { skill: "sync" }],
    [() => Promise.reject(new Error("later")), { skill: "async" }],
  ]);
  net.daemon.deliver({ task: taskInit("t1", { targetSkillId: "sync" }) });
  net.daemon.deliver({ task: taskInit("t2", { targetSkillId: "async" }) });
  await reaches(net, "t1", TaskStatus.FAILED);
  await reaches(net, "t2", TaskStatus.FAILED);
  assert.equal(net.daemon.task("t1")?.errorMessage, "at once");
  assert.equal(net.daemon.task("t2")?.errorMessage, "later");
});

Deno.test("onTask() reports an error thrown after the task was ended, and does not fail the task", async () => {
  await using net = await setUp([async (task) => {
    await task.complete();
    throw new Error("too late");
  }]);
  net.daemon.deliver({ task: taskInit("t1") });
  assert.match(await net.reported, /t1.*too late/);
  assert.equal(net.daemon.task("t1")?.status, TaskStatus.COMPLETED);
  assert.equal(net.daemon.called("failTask").length, 0);
});

Deno.test("onTask() runs one handler: that of the skill, else the general one, else rejects", async () => {
  const ran: string[] = [];
  const record = (name: string): TaskHandler => (task) => {
    ran.push(`${name} ${task.taskId}`);
    return task.complete();
  };
  await using net = await setUp([[record("a"), { skill: "a" }], [record("a again"), { skill: "a" }]]);
  const subscribedAgain = (times: number) => {
    const requests = () => net.daemon.called("subscribeIncomingTasks").length;
    return net.daemon.until(() => requests() === times && net.daemon.listeners === 1);
  };
  net.daemon.deliver({ task: taskInit("t1", { targetSkillId: "a" }) });
  await reaches(net, "t1", TaskStatus.COMPLETED);
  net.daemon.deliver({ task: taskInit("t2", { targetSkillId: "b" }) });
  await reaches(net, "t2", TaskStatus.REJECTED);
  const remove = net.node.onTask(record("any"));
  await subscribedAgain(2);
  net.daemon.deliver({ task: taskInit("t3", { targetSkillId: "b" }) });
  await reaches(net, "t3", TaskStatus.COMPLETED);
  remove();
  await subscribedAgain(3);
  net.daemon.deliver({ task: taskInit("t4") });
  await reaches(net, "t4", TaskStatus.REJECTED);
  assert.deepEqual(ran, ["a t1", "any t3"]);
});

Deno.test("onTask() handles a task once however often it is delivered, and its next turn again", async () => {
  const turns: number[] = [];
  await using net = await setUp([(task) => {
    turns.push(task.messages.length);
    return turns.length === 1 ? task.requestInput("more?") : task.complete();
  }]);
  const task = taskInit("t");
  net.daemon.deliver({ task });
  net.daemon.deliver({ task });
  await reaches(net, "t", TaskStatus.INPUT_REQUIRED);
  net.daemon.deliver({ task });
  net.daemon.deliver({ task: { ...task, messages: [...task.messages ?? [], { role: 2 }, { role: 1 }] } });
  await reaches(net, "t", TaskStatus.COMPLETED);
  assert.deepEqual(turns, [1, 3]);
});

Deno.test("onTask() runs at most maxConcurrent handlers at once", async () => {
  const entered = Array.from({ length: 6 }, () => Promise.withResolvers<void>());
  const gates = Array.from({ length: 6 }, () => Promise.withResolvers<void>());
  let started = 0;
  let now = 0;
  let most = 0;
  const handler: TaskHandler = async (task) => {
    most = Math.max(most, ++now);
    const turn = started++;
    entered[turn]?.resolve();
    await gates[turn]?.promise;
    now--;
    await task.complete();
  };
  await using net = await setUp([[handler, { maxConcurrent: 2 }]]);
  for (let i = 0; i < 6; i++) net.daemon.deliver({ task: taskInit(`t${i}`) });
  for (let i = 0; i < 6; i++) {
    await entered[i]?.promise;
    if (i > 0) gates[i - 1]?.resolve();
  }
  gates[5]?.resolve();
  await net.daemon.until(() => net.daemon.called("completeTask").length === 6);
  assert.equal(most, 2);
});

Deno.test("onTask() fails the task and fires its signal when timeoutMs is over", async () => {
  const fired = Promise.withResolvers<unknown>();
  await using net = await setUp([[(task) =>
    new Promise(() => {
      task.signal.addEventListener("abort", () => fired.resolve(task.signal.reason), { once: true });
    }), { timeoutMs: 30 }]]);
  net.daemon.deliver({ task: taskInit("t") });
  await reaches(net, "t", TaskStatus.FAILED);
  assert.match(net.daemon.task("t")?.errorMessage ?? "", /within 30 ms/);
  assert.equal((await fired.promise as Error).name, "TaskTimeoutError");
});

Deno.test("onTask() throws RangeError for limits that make no sense", () => {
  const node = new Node({ daemonAddr: "tcp://127.0.0.1:1" });
  assert.throws(() => node.onTask(() => {}, { maxConcurrent: 0 }), RangeError);
  assert.throws(() => node.onTask(() => {}, { timeoutMs: -1 }), RangeError);
});

Deno.test("IncomingTask.signal fires when the task is cancelled, and the handler's error stays quiet", async () => {
  const watching = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  await using net = await setUp([async (task) => {
    const { signal } = task;
    watching.resolve();
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    ended.resolve();
    signal.throwIfAborted();
  }], {
    failTask: () => {
      throw new CodedError("failed_precondition", "the task is over");
    },
  });
  net.daemon.deliver({ task: taskInit("t") });
  await watching.promise;
  net.daemon.update("t", { status: TaskStatus.CANCELED });
  await ended.promise;
  await net.daemon.until(() => net.daemon.called("failTask").length === 1);
  await net.node.stop();
  assert.deepEqual(net.reports, []);
});

Deno.test("IncomingTask.signal watches only when used, and no longer than needed", async () => {
  await using net = await setUp([(task) => {
    if (task.taskId === "t2") assert.equal(task.signal.aborted, false);
    return task.complete();
  }]);
  net.daemon.deliver({ task: taskInit("t1") });
  await reaches(net, "t1", TaskStatus.COMPLETED);
  assert.equal(net.daemon.called("subscribeTaskUpdates").length, 0);
  net.daemon.deliver({ task: taskInit("t2") });
  await reaches(net, "t2", TaskStatus.COMPLETED);
  await net.daemon.until(() => net.daemon.watchers("t2") === 0);
});

Deno.test("IncomingTask.signal fires when the node stops", async () => {
  const running = Promise.withResolvers<AbortSignal>();
  await using net = await setUp([(task) => {
    running.resolve(task.signal);
    return new Promise(() => {});
  }]);
  net.daemon.deliver({ task: taskInit("t") });
  const signal = await running.promise;
  await net.node.stop();
  assert.equal(signal.aborted, true);
  assert.equal(net.daemon.called("failTask").length, 0);
});

Deno.test("onTask() skips a task that was cancelled before its turn", async () => {
  let ran = 0;
  await using net = await setUp([() => void ran++], {
    updateTaskStatus: () => {
      throw new CodedError("failed_precondition", "the task is over");
    },
  });
  net.daemon.deliver({ task: taskInit("t", { status: TaskStatus.CANCELED }) });
  await net.daemon.until(() => net.daemon.called("getTask").length === 1);
  await net.node.stop();
  assert.equal(ran, 0);
});

Deno.test("onTask() listens again when the daemon is started again", async () => {
  await using net = await setUp([(task) => task.complete()]);
  await net.daemon.stop();
  await net.daemon.start();
  await net.daemon.until(() => net.daemon.listeners === 1);
  net.daemon.deliver({ task: taskInit("t") });
  await reaches(net, "t", TaskStatus.COMPLETED);
  assert.match(net.reports[0] ?? "", /connection to the daemon is lost/);
});

Deno.test("IncomingTask tells reasons, questions and progress to the sender", async () => {
  await using net = await setUp([
    [(task) => task.reject("not today"), { skill: "reject" }],
    [async (task) => {
      await task.updateStatus("working", "half way");
      await task.fail(new Error("broke"));
    }, { skill: "fail" }],
  ]);
  net.daemon.deliver({ task: taskInit("t1", { targetSkillId: "reject" }) });
  await reaches(net, "t1", TaskStatus.REJECTED);
  net.daemon.deliver({ task: taskInit("t2", { targetSkillId: "fail" }) });
  await reaches(net, "t2", TaskStatus.FAILED);
  assert.equal(net.daemon.task("t2")?.errorMessage, "broke");
  const texts = net.daemon.called("updateTaskStatus").flatMap(({ message }) =>
    (message as { parts: { content: { value: { text: string } } }[] } | undefined)?.parts.map((part) =>
      part.content.value.text
    ) ?? []
  );
  assert.deepEqual(texts, ["not today", "half way"]);
});
