// The existing network's TypeScript SDK, unchanged, drives our program as its daemon.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { IncomingTask } from "../../sdk/mod.ts";
import { bundleForNode, findSystemNode } from "../support/system_node.ts";
import { type ExistingSdkNet, startExistingSdkNet } from "./existing_sdk.ts";

const node = await findSystemNode(18);
if ("missing" in node) console.warn(`Skipping the tests with the existing SDK: ${node.missing}`);
const folder = await Deno.makeTempDir({ prefix: "agentanycast_test_" });
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const program = "missing" in node
  ? ""
  : await bundleForNode(join(import.meta.dirname ?? ".", "existing_sdk_program.ts"), folder);

/** What a test works with when the existing SDK's node runs and is connected to ours. */
interface Connected extends ExistingSdkNet {
  readonly theirId: string;
  readonly ourId: string;
}

function existingTest(name: string, work: (net: ExistingSdkNet) => Promise<void>): void {
  Deno.test({
    name,
    ignore: "missing" in node,
    fn: async () => {
      await using net = await startExistingSdkNet(["node", program]);
      await work(net);
    },
  });
}

/** As {@link existingTest}, connected; the daemon has to be gone after `stop()`. */
function connectedTest(name: string, work: (net: Connected) => Promise<void>): void {
  existingTest(name, async (net) => {
    const { theirs, ours, daemon, address } = net;
    const theirId = await theirs.call("start");
    await theirs.call("connectPeer", ours.peerId, [address]);
    await work({ ...net, theirId, ourId: ours.peerId });
    await theirs.call("stop");
    await daemon.untilGone();
  });
}

existingTest("the existing SDK starts, stops and restarts the daemon by its launch contract", async (net) => {
  const { theirs, daemon, home } = net;
  const peerId = await theirs.call("start");
  assert.match(peerId, /^12D3KooW\w{44}$/);
  assert.deepEqual(await daemon.argv(), [
    `--key=${home}/key`,
    `--grpc-listen=unix://${home}/daemon.sock`,
    "--log-level=info",
  ]);
  assert.equal((await Deno.stat(join(home, "key"))).size, 68);
  assert.ok((await Deno.stat(join(home, "data"))).isDirectory);
  await theirs.call("stop");
  await daemon.untilGone();
  assert.equal(existsSync(join(home, "daemon.sock")), false);
  assert.match(await Deno.readTextFile(join(home, "logs", "daemon.log")), new RegExp(peerId));
  daemon.watch();
  assert.equal(await theirs.call("start"), peerId);
  await theirs.call("stop");
  await daemon.untilGone();
});

existingTest("the existing SDK connects to a peer by an address and has its card", async (net) => {
  const { theirs, ours, address } = net;
  const theirId = await theirs.call("start");
  const nobody = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
  await assert.rejects(theirs.call("connectPeer", nobody, ["/ip4/127.0.0.1/tcp/1"]));
  await assert.rejects(theirs.call("getCard", nobody), { name: "CardNotAvailableError" });
  assert.ok(await theirs.call("sendTask", nobody, [{ text: "queued" }]));
  const peer = await theirs.call("connectPeer", ours.peerId, [address]);
  assert.equal(peer.peerId, ours.peerId);
  assert.deepEqual(await theirs.call("listPeers"), [ours.peerId]);
  const card = await theirs.call("getCard", ours.peerId);
  assert.deepEqual([card.name, card.peerId], ["Ours", ours.peerId]);
  assert.deepEqual(card.skills, [{ id: "echo", description: "Says it again" }]);
  assert.equal((await ours.getCard(theirId)).name, "Theirs");
});

connectedTest(
  "the existing SDK's task comes back completed with every part",
  async ({ theirs, ours, ourId }) => {
    const parts = [
      { text: "Grüße", mediaType: "text/plain" },
      { data: { n: 1.5, list: [true, null, "x"], deep: { a: {} } } },
      { url: "https://example.org/a", metadata: { k: "v" } },
    ];
    let from = "";
    ours.onTask(async (task: IncomingTask) => {
      from = `${task.senderCard?.name}`;
      await task.complete([
        { artifactId: "1", name: "same", parts: task.messages.flatMap((message) => message.parts) },
        { artifactId: "2", name: "more", parts: [{ raw: new Uint8Array([0, 255]) }] },
      ]);
    });
    const task = await theirs.call("wait", await theirs.call("sendTask", ourId, parts));
    assert.equal(task.status, "completed");
    assert.deepEqual(task.artifacts, [
      { artifactId: "1", name: "same", parts },
      { artifactId: "2", name: "more", parts: [{ raw: { type: "Buffer", data: [0, 255] } }] },
    ]);
    assert.equal(from, "Theirs");
  },
);

connectedTest(
  "the existing SDK learns how its task ended when not completed",
  async ({ theirs, ours, ourId }) => {
    const aborted = Promise.withResolvers<void>();
    ours.onTask(async (task: IncomingTask) => {
      if (task.text === "fail") throw new Error("no paper");
      if (task.text === "reject") return await task.reject("not my job");
      const { signal } = task;
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      aborted.resolve();
    });
    const send = (text: string) => theirs.call("sendTask", ourId, [{ text }]);
    await assert.rejects(theirs.call("wait", await send("fail")), { name: "TaskFailedError" });
    await assert.rejects(theirs.call("wait", await send("reject")), { name: "TaskRejectedError" });
    const hanging = await send("hang");
    await theirs.call("cancel", hanging);
    await assert.rejects(theirs.call("wait", hanging), { name: "TaskCanceledError" });
    await aborted.promise;
  },
);

connectedTest("the existing SDK's handler answers our tasks", async ({ ours, theirId }) => {
  const send = async (text: string) => {
    const handle = await ours.sendTask([{ text }, { data: { n: 1 } }], {
      peerId: theirId,
      targetSkill: "echo",
    });
    return await handle.wait({ timeoutMs: 15_000 });
  };
  const { artifacts } = await send("hello");
  assert.deepEqual(artifacts, [
    { artifactId: "1", name: "echo", parts: [{ text: "hello" }, { data: { n: 1 } }, { text: "Ours" }] },
  ]);
  await assert.rejects(send("fail no paper"), { name: "TaskFailedError", message: "no paper" });
  await assert.rejects(send("throw no ink"), { name: "TaskFailedError", message: "Error: no ink" });
  await assert.rejects(send("ask which one?"), { name: "TaskInputRequiredError", message: "which one?" });
});
