import assert from "node:assert/strict";
import { TaskStatus } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import {
  DaemonConnectionError,
  Node,
  TaskCanceledError,
  TaskFailedError,
  type TaskHandle,
  TaskInputRequiredError,
  TaskNotFoundError,
  TaskRejectedError,
  TaskTimeoutError,
} from "../../sdk/mod.ts";
import { FakeDaemon } from "../support/fake_daemon.ts";

interface Setup extends AsyncDisposable {
  readonly daemon: FakeDaemon;
  readonly node: Node;
  readonly handle: TaskHandle;
}

/** A node that has sent the task `t`. */
async function setUp(reconnectMs = 30_000): Promise<Setup> {
  const daemon = await new FakeDaemon().start();
  const node = new Node({ daemonAddr: daemon.address, reconnectMs });
  await node.start();
  return {
    daemon,
    node,
    handle: await node.sendTask("do it", { skill: "s", taskId: "t" }),
    [Symbol.asyncDispose]: async () => {
      await node.stop();
      await daemon.stop();
    },
  };
}

const textPart = (text: string) => ({ content: { case: "textPart" as const, value: { text } } });
const says = (text: string) => ({ message: { messageId: text, role: 2, parts: [textPart(text)] } });

Deno.test("TaskHandle.wait() resolves with the finished task", async () => {
  await using net = await setUp();
  const waiting = net.handle.wait();
  await net.daemon.until(() => net.daemon.watchers("t") === 1);
  net.daemon.update("t", { status: TaskStatus.WORKING });
  net.daemon.update("t", {
    status: TaskStatus.COMPLETED,
    artifacts: [{ artifactId: "a", name: "n", parts: [textPart("done")] }],
  });
  const task = await waiting;
  assert.equal(task.status, "completed");
  assert.deepEqual(task.artifacts, [{ artifactId: "a", name: "n", parts: [{ text: "done" }] }]);
  assert.equal(net.handle.status, "completed");
  assert.deepEqual(net.handle.artifacts, task.artifacts);
});

Deno.test("TaskHandle.wait() resolves when the task was over before", async () => {
  await using net = await setUp();
  net.daemon.update("t", { status: TaskStatus.COMPLETED, artifacts: [{ parts: [textPart("early")] }] });
  assert.deepEqual((await net.handle.wait()).artifacts, [{ parts: [{ text: "early" }] }]);
  assert.equal((await net.handle.wait()).status, "completed");
  assert.equal((await (await net.node.getTaskHandle("t")).wait()).status, "completed");
});

Deno.test("TaskHandle.wait() rejects with the reason of each bad end", async () => {
  const ends = [
    { status: TaskStatus.FAILED, error: TaskFailedError, code: "aborted" },
    { status: TaskStatus.REJECTED, error: TaskRejectedError, code: "permission_denied" },
    { status: TaskStatus.CANCELED, error: TaskCanceledError, code: "cancelled" },
  ];
  for (const { status, error, code } of ends) {
    await using net = await setUp();
    net.daemon.update("t", { status, errorMessage: "out of paper" });
    const thrown = await net.handle.wait().catch((error) => error);
    assert.ok(thrown instanceof error);
    assert.equal(thrown.message, "out of paper");
    assert.equal(thrown.code, code);
    assert.equal(net.handle.error, "out of paper");
  }
});

Deno.test("TaskHandle.wait() takes the reason from the agent's last message when there is no other", async () => {
  await using net = await setUp();
  const waiting = net.handle.wait();
  await net.daemon.until(() => net.daemon.watchers("t") === 1);
  net.daemon.update("t", { status: TaskStatus.REJECTED }, says("not my job"));
  await assert.rejects(waiting, { name: "TaskRejectedError", message: "not my job" });
});

Deno.test("TaskHandle.wait() rejects with the question when the agent needs input", async () => {
  await using net = await setUp();
  const waiting = net.handle.wait();
  await net.daemon.until(() => net.daemon.watchers("t") === 1);
  net.daemon.update("t", { status: TaskStatus.INPUT_REQUIRED }, says("Which one?"));
  const error = await waiting.catch((error) => error);
  assert.ok(error instanceof TaskInputRequiredError);
  assert.equal(error.message, "Which one?");
  assert.deepEqual(error.question?.parts, [{ text: "Which one?" }]);
  await net.daemon.until(() => net.daemon.watchers("t") === 0);
});

Deno.test("TaskHandle.wait() rejects after timeoutMs and leaves the task alone", async () => {
  await using net = await setUp();
  await assert.rejects(net.handle.wait({ timeoutMs: 30 }), TaskTimeoutError);
  await net.daemon.until(() => net.daemon.watchers("t") === 0);
  assert.equal(net.daemon.called("cancelTask").length, 0);
});

Deno.test("TaskHandle.wait() rejects with cancelled when its signal fires", async () => {
  await using net = await setUp();
  const controller = new AbortController();
  const waiting = net.handle.wait({ signal: controller.signal });
  await net.daemon.until(() => net.daemon.watchers("t") === 1);
  controller.abort();
  await assert.rejects(waiting, { code: "cancelled" });
  await assert.rejects(net.handle.wait({ signal: AbortSignal.abort() }), { code: "cancelled" });
});

Deno.test("TaskHandle.wait() survives a daemon that is started again", async () => {
  await using net = await setUp();
  const waiting = net.handle.wait();
  await net.daemon.until(() => net.daemon.watchers("t") === 1);
  await net.daemon.stop();
  net.daemon.update("t", { status: TaskStatus.COMPLETED, artifacts: [{ parts: [textPart("while away")] }] });
  await net.daemon.start();
  assert.deepEqual((await waiting).artifacts, [{ parts: [{ text: "while away" }] }]);
});

Deno.test("TaskHandle.wait() subscribes again when the stream ends without an end of the task", async () => {
  await using net = await setUp();
  const waiting = net.handle.wait();
  for (let round = 1; round <= 2; round++) {
    await net.daemon.until(() =>
      net.daemon.watchers("t") === 1 && net.daemon.called("subscribeTaskUpdates").length === round
    );
    net.daemon.endStreams();
  }
  await net.daemon.until(() => net.daemon.called("subscribeTaskUpdates").length === 3);
  net.daemon.update("t", { status: TaskStatus.COMPLETED });
  assert.equal((await waiting).status, "completed");
});

Deno.test("TaskHandle.wait() gives up when the daemon stays away", async () => {
  await using net = await setUp(100);
  const waiting = net.handle.wait();
  await net.daemon.until(() => net.daemon.watchers("t") === 1);
  await net.daemon.stop();
  await assert.rejects(waiting, DaemonConnectionError);
});

Deno.test("TaskHandle.wait() rejects when the daemon does not know the task any more", async () => {
  await using net = await setUp();
  const waiting = net.handle.wait();
  await net.daemon.until(() => net.daemon.watchers("t") === 1);
  await net.daemon.stop();
  await using other = await new FakeDaemon().start(net.daemon.address);
  await assert.rejects(waiting, TaskNotFoundError);
  assert.equal(other.calls.length, 1); // whether the state was asked for or a new subscription, once was enough
});

Deno.test("TaskHandle.events() tells each state once, also across a lost connection", async () => {
  await using net = await setUp();
  const seen: string[] = [];
  const reading = (async () => {
    for await (const { status, message } of net.handle.events()) {
      seen.push(message === undefined ? status : `${status} ${message.messageId}`);
      if (message?.messageId === "20 %") net.daemon.endStreams();
    }
  })();
  await net.daemon.until(() => net.daemon.watchers("t") === 1);
  net.daemon.update("t", { status: TaskStatus.WORKING }, says("10 %"));
  net.daemon.update("t", { status: TaskStatus.WORKING }, says("20 %"));
  await net.daemon.until(() => net.daemon.called("subscribeTaskUpdates").length === 2);
  net.daemon.update("t", { status: TaskStatus.COMPLETED });
  await reading;
  assert.deepEqual(seen, ["submitted", "working 10 %", "working 20 %", "completed"]);
});

Deno.test("TaskHandle.events() unsubscribes when the loop is left", async () => {
  await using net = await setUp();
  for await (const _ of net.handle.events()) break;
  await net.daemon.until(() => net.daemon.watchers("t") === 0);
});

Deno.test("TaskHandle.cancel() asks the daemon, and a waiter is told", async () => {
  await using net = await setUp();
  const waiting = net.handle.wait();
  await net.daemon.until(() => net.daemon.watchers("t") === 1);
  await net.handle.cancel();
  assert.equal(net.handle.status, "canceled");
  await assert.rejects(waiting, TaskCanceledError);
});

Deno.test("TaskHandle.refresh() fetches the state", async () => {
  await using net = await setUp();
  net.daemon.update("t", { status: TaskStatus.WORKING });
  assert.equal(net.handle.status, "submitted");
  assert.equal((await net.handle.refresh()).status, "working");
  assert.equal(net.handle.status, "working");
});
