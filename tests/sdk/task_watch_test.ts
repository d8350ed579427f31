// That no change of a task is lost or told twice, and that what is repeated is done once.
import assert from "node:assert/strict";
import { CodedError } from "../../core/errors.ts";
import { TaskStatus } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { type IncomingTask, Node, type NodeOptions, type TaskHandle } from "../../sdk/mod.ts";
import { FakeDaemon, textPart } from "../support/fake_daemon.ts";

type Overrides = ConstructorParameters<typeof FakeDaemon>[0];

interface Setup extends AsyncDisposable {
  readonly daemon: FakeDaemon;
  readonly node: Node;
  readonly handle: TaskHandle;
}

/** A node that has sent the task `t` to the peer `p`. */
async function setUp(
  { legacy = false, overrides = {}, ...options }: NodeOptions & { legacy?: boolean; overrides?: Overrides } =
    {},
): Promise<Setup> {
  const daemon = new FakeDaemon(overrides);
  daemon.legacy = legacy;
  await daemon.start();
  const node = new Node({ daemonAddr: daemon.address, ...options });
  await node.start();
  const stop = async () => {
    await node.stop();
    await daemon.stop();
  };
  const handle = await node.sendTask("do it", { peerId: "p", taskId: "t" });
  return { daemon, node, handle, [Symbol.asyncDispose]: stop };
}

const says = (text: string) => ({ message: { messageId: text, role: 2, parts: [textPart(text)] } });
const ask = (daemon: FakeDaemon) =>
  daemon.update(
    "t",
    { status: TaskStatus.INPUT_REQUIRED, messages: [says("which?").message] },
    says("which?"),
  );

async function seenBy(handle: TaskHandle, afterGeneration?: number): Promise<string[]> {
  const seen: string[] = [];
  const options = afterGeneration === undefined ? {} : { afterGeneration };
  for await (const { status, message, generation } of handle.events(options)) {
    seen.push([generation, status, message?.messageId].join(" ").trim());
  }
  return seen;
}

Deno.test("TaskHandle.events() tells each change once, also those made before and while nobody listened", async () => {
  await using net = await setUp();
  net.daemon.update("t", { status: TaskStatus.WORKING }, says("10 %"));
  const reading = seenBy(net.handle);
  await net.daemon.until(() => net.daemon.watchers("t") === 1);
  await net.daemon.stop();
  net.daemon.update("t", { status: TaskStatus.WORKING }, says("20 %"));
  net.daemon.update("t", { status: TaskStatus.WORKING }, says("30 %"));
  await net.daemon.start();
  await net.daemon.until(() => net.daemon.watchers("t") === 1);
  net.daemon.endStreams();
  net.daemon.update("t", { status: TaskStatus.COMPLETED });
  assert.deepEqual(await reading, [
    "1 submitted",
    "2 working 10 %",
    "3 working 20 %",
    "4 working 30 %",
    "5 completed",
  ]);
  assert.deepEqual(net.handle.task.messages.map(({ messageId }) => messageId).slice(1), [
    "10 %",
    "20 %",
    "30 %",
  ]);
});

Deno.test("TaskHandle.events() begins behind afterGeneration, and tells nothing when the end lies before", async () => {
  await using net = await setUp();
  net.daemon.update("t", { status: TaskStatus.WORKING });
  net.daemon.update("t", { status: TaskStatus.COMPLETED });
  assert.deepEqual(await seenBy(net.handle, 0), ["1 submitted", "2 working", "3 completed"]);
  assert.deepEqual(await seenBy(net.handle, 2), ["3 completed"]);
  assert.deepEqual(await seenBy(net.handle, 3), []);
});

Deno.test("TaskHandle.events() tells the sum of the changes that are not kept any more", async () => {
  let refusals = 1;
  await using net = await setUp({
    overrides: {
      subscribeTaskUpdates: ({ afterGeneration }) => {
        if (refusals-- > 0) throw new CodedError("out_of_range", "not kept");
        assert.equal(afterGeneration, 3n);
        net.daemon.update("t", { status: TaskStatus.COMPLETED });
        return (async function* () {
          yield await Promise.resolve({ taskId: "t", status: TaskStatus.COMPLETED, generation: 4n });
        })();
      },
    },
  });
  net.daemon.update("t", { status: TaskStatus.WORKING });
  net.daemon.update("t", { status: TaskStatus.WORKING });
  assert.deepEqual(await seenBy(net.handle), ["1 submitted", "3 working", "4 completed"]);
  refusals = 1;
  await assert.rejects(seenBy(net.handle, 0), { code: "out_of_range" });
});

Deno.test("TaskHandle.events() does without counted changes, from older daemons", async () => {
  await using net = await setUp({ legacy: true });
  const reading = seenBy(net.handle);
  await net.daemon.until(() => net.daemon.watchers("t") === 1);
  net.daemon.update("t", { status: TaskStatus.WORKING }, says("10 %"));
  net.daemon.endStreams();
  await net.daemon.until(() => net.daemon.called("subscribeTaskUpdates").length === 2);
  net.daemon.update("t", { status: TaskStatus.COMPLETED });
  assert.deepEqual(
    await reading,
    ["submitted", "working 10 %", "working", "completed"].filter((one) => one !== "working"),
  );
});

Deno.test("TaskHandle.reply() answers a question once, also when the connection is lost, and wait() goes on", async () => {
  let losses = 1;
  const ids: unknown[] = [];
  await using net = await setUp({
    overrides: {
      sendTask: async (request) => {
        ids.push(`${request.taskId} ${request.message?.messageId}`);
        const messages = request.message ? [request.message] : [];
        const task = { taskId: "t", peerId: "p", status: TaskStatus.SUBMITTED, messages };
        if (ids.length === 1) return { task };
        if (losses-- > 0) await net.daemon.stop().then(() => net.daemon.start());
        assert.deepEqual(request.target, { case: "peerId", value: "p" });
        task.status = TaskStatus.WORKING;
        net.daemon.update("t", task);
        return { task };
      },
    },
  });
  ask(net.daemon);
  await assert.rejects(net.handle.wait(), { name: "TaskInputRequiredError", message: "which?" });
  assert.equal((await net.handle.reply("this one")).status, "working");
  assert.equal(ids.length, 3);
  assert.equal(ids[1], ids[2]);
  const waiting = net.handle.wait();
  await net.daemon.until(() => net.daemon.watchers("t") === 1);
  net.daemon.update("t", { status: TaskStatus.COMPLETED });
  assert.equal((await waiting).status, "completed");
});

Deno.test("TaskHandle.wait() goes by how the task stands, not by a question that was answered elsewhere", async () => {
  await using net = await setUp();
  ask(net.daemon);
  await assert.rejects(net.handle.wait(), { name: "TaskInputRequiredError" });
  net.daemon.answer("t", "by somebody else");
  const waiting = net.handle.wait();
  await net.daemon.until(() => net.daemon.watchers("t") === 1);
  net.daemon.update("t", { status: TaskStatus.COMPLETED });
  await waiting;
  await assert.rejects(net.handle.reply("late"), { code: "failed_precondition" });
});

Deno.test("Node.sendTask() sends the same task again when the connection is lost", async () => {
  const sent: string[] = [];
  await using net = await setUp({
    overrides: {
      sendTask: async ({ taskId, message }) => {
        sent.push(`${taskId} ${message?.messageId}`);
        if (sent.length === 2) await net.daemon.stop().then(() => net.daemon.start());
        return { task: { taskId, status: TaskStatus.SUBMITTED } };
      },
    },
  });
  const handle = await net.node.sendTask("x", { peerId: "p" });
  assert.equal(sent.length, 3);
  assert.equal(sent[1], sent[2]);
  assert.match(sent[1] ?? "", new RegExp(`^${handle.taskId} [0-9a-f-]{36}$`));
});

Deno.test("Node.sendTask() sends deadline and trace, which the handler finds in its task", async () => {
  await using net = await setUp();
  const traceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const deadline = new Date(Date.now() + 60_000);
  await net.node.sendTask("x", { peerId: "p", taskId: "traced", deadline, traceParent, traceState: "a=b" });
  assert.equal(net.daemon.traced[0]?.get("traceparent"), traceParent);
  assert.equal(net.daemon.traced[0]?.get("tracestate"), "a=b");
  const before = Date.now();
  await net.node.sendTask("x", { peerId: "p", taskId: "soon", deadlineMs: 5_000 });
  const soonMs = (await net.node.getTask("soon")).deadline?.getTime() ?? 0;
  assert.ok(soonMs >= before + 5_000);
  assert.deepEqual((await net.node.getTask("traced")).deadline, deadline);
  await assert.rejects(net.node.sendTask("x", { peerId: "p", deadline, deadlineMs: 1 }), TypeError);
  await assert.rejects(net.node.sendTask("x", { peerId: "p", deadlineMs: 0 }), RangeError);

  const seen = Promise.withResolvers<IncomingTask>();
  net.node.onTask((task) => seen.resolve(task));
  await net.daemon.until(() => net.daemon.listeners === 1);
  const task = { ...net.daemon.task("traced"), taskId: "in", traceParent, traceState: "a=b" };
  net.daemon.deliver({ task });
  const incoming = await seen.promise;
  assert.deepEqual([incoming.traceParent, incoming.traceState, incoming.deadline], [
    traceParent,
    "a=b",
    deadline,
  ]);
});

Deno.test("TaskHandle.cancel() resolves with what became of it, and refresh() can ask the agent's node", async () => {
  await using net = await setUp({
    overrides: {
      cancelTask: () => ({ task: { taskId: "t", status: TaskStatus.WORKING, cancelRequested: true } }),
    },
  });
  const task = await net.handle.cancel();
  assert.deepEqual([task.status, task.cancelRequested], ["working", true]);
  assert.equal((await net.handle.refresh({ fromPeer: true })).cancelRequested, undefined);
  assert.deepEqual(net.daemon.called("getTask").map(({ refresh }) => refresh), [true]);
});
