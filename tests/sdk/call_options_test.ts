// Deadlines, signals and lost connections of the calls of a node.
import assert from "node:assert/strict";
import { CodedError } from "../../core/errors.ts";
import { TaskStatus } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { NodeEvents } from "../../sdk/node_events.ts";
import { type CallOptions, Node, type TaskHandle } from "../../sdk/mod.ts";
import { FAKE_PEER_ID, FakeDaemon } from "../support/fake_daemon.ts";

const never = () => new Promise<never>(() => {});

/** A daemon that answers nothing but who it is, which task there is and that a task was sent. */
const mute = {
  getPeerCard: never,
  listPeers: never,
  connectPeer: never,
  discover: never,
  cancelTask: never,
};

type Call = (options: CallOptions, node: Node, handle: TaskHandle) => Promise<unknown>;

const CALLS: Readonly<Record<string, Call>> = {
  getCard: (options, node) => node.getCard("p", options),
  checkCard: (options, node) => node.checkCard("p", options),
  listPeers: (options, node) => node.listPeers(options),
  connectPeer: (options, node) => node.connectPeer("p", [], options),
  discover: (options, node) => node.discover("s", { ...options }),
  cancel: (options, _node, handle) => handle.cancel(options),
};

for (const [name, call] of Object.entries(CALLS)) {
  Deno.test(`${name}() ends by its signal and by its time`, async () => {
    await using daemon = await new FakeDaemon(mute).start();
    await using node = new Node({ daemonAddr: daemon.address });
    await node.start();
    const handle = await node.sendTask("hi", { peerId: FAKE_PEER_ID });
    await assert.rejects(call({ timeoutMs: 20 }, node, handle), {
      code: "deadline_exceeded",
      message: "No answer within 20 ms",
    });
    const controller = new AbortController();
    const called = call({ signal: controller.signal }, node, handle);
    controller.abort();
    await assert.rejects(called, { code: "cancelled" });
    await assert.rejects(call({ signal: AbortSignal.abort() }, node, handle), { code: "cancelled" });
  });
}

Deno.test("Node.getTask() and the others come back with the answer of the daemon that is started again", async () => {
  await using daemon = await new FakeDaemon({ listPeers: () => ({ peers: [] }) }).start();
  await using node = new Node({ daemonAddr: daemon.address });
  await node.start();
  const handle = await node.sendTask("hi", { peerId: FAKE_PEER_ID, taskId: "t" });
  await daemon.stop();
  const answers = Promise.all([
    node.getTask("t"),
    handle.refresh(),
    node.getTaskHandle("t"),
    handle.cancel(),
    node.listPeers(),
    node.info(),
  ]);
  await daemon.start();
  const [task, , again] = await answers;
  assert.deepEqual([task.taskId, again.taskId], ["t", "t"]);
  assert.equal((await handle.refresh()).status, "canceled");
});

Deno.test("TaskHandle.cancel() counts when the daemon did it and went away before it said so", async () => {
  let calls = 0;
  await using daemon: FakeDaemon = new FakeDaemon({
    cancelTask: ({ taskId }) => {
      if (++calls > 1) throw new CodedError("failed_precondition", "it is over");
      daemon.update(taskId, { status: TaskStatus.CANCELED });
      return never();
    },
  });
  await daemon.start();
  await using node = new Node({ daemonAddr: daemon.address });
  await node.start();
  const handle = await node.sendTask("hi", { peerId: FAKE_PEER_ID });
  const canceled = handle.cancel();
  await daemon.until(() => calls === 1);
  await daemon.stop();
  await daemon.start();
  assert.equal((await canceled).status, "canceled");
  await assert.rejects(handle.cancel(), { code: "failed_precondition" });
});

Deno.test("TaskHandle throws at once when its node was stopped", async () => {
  await using daemon = await new FakeDaemon().start();
  const node = new Node({ daemonAddr: daemon.address });
  await node.start();
  const handle = await node.sendTask("hi", { peerId: FAKE_PEER_ID });
  const waiting = handle.wait();
  await daemon.until(() => daemon.watchers(handle.taskId) === 1);
  await node.stop();
  const stopped = { code: "failed_precondition", message: /was stopped/ };
  await assert.rejects(waiting, stopped);
  await assert.rejects(handle.refresh(), stopped);
});

Deno.test("Node.events() tells what onStatus is told, and ends when the loop is left or its signal fires", async () => {
  await using daemon = await new FakeDaemon().start();
  await using node = new Node({ daemonAddr: daemon.address });
  const controller = new AbortController();
  const told: string[] = [];
  const all = (async () => {
    for await (const event of node.events({ signal: controller.signal })) {
      told.push(event.kind === "status" ? event.status.state : event.kind);
    }
  })();
  const first = (async () => {
    for await (const { kind } of node.events()) return kind;
    return "none";
  })();
  await node.start();
  assert.equal(await first, "status");
  await node.stop();
  controller.abort();
  await all;
  assert.deepEqual(told, ["starting", "ready", "stopped"]);
});

Deno.test("Node.events() throws when nobody reads it", async () => {
  const events = new NodeEvents();
  const reader = events.read([], undefined);
  for (let i = 0; i <= 1_000; i++) events.tell({ kind: "peer_disconnected", peerId: String(i) });
  await assert.rejects(Array.fromAsync(reader), { code: "resource_exhausted" });
});
