// The existing network's SDKs, unchanged, drive our program as their daemon.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { IncomingTask } from "../../sdk/mod.ts";
import { PROGRAM_MS } from "../support/patience.ts";
import { bundleForNode, findSystemNode } from "../support/system_node.ts";
import { startTestRelay } from "../support/test_relay.ts";
import { ExistingSdk, type ExistingSdkNet, type NetOptions, startExistingSdkNet } from "./existing_sdk.ts";
import { findPythonSdk } from "./python_package.ts";
import { startRecordingDaemon } from "./recording_daemon.ts";
import { startTestDaemon } from "../support/test_daemon.ts";
import { tempDir } from "../support/temp_dir.ts";

const FOLDER = import.meta.dirname ?? ".";

/** An SDK, and what is wrong with it that our daemon cannot help. */
interface Sdk {
  readonly name: string;
  readonly command: readonly string[];
  /** Why it cannot be tested here. */
  readonly missing?: string;
  /** It sends and reads data and the metadata of parts in both directions. */
  readonly hasData: boolean;
  /** It sends the text of a question. */
  readonly asksInWords: boolean;
  /** A handler that throws fails its task. */
  readonly failsWhenThrown: boolean;
}

async function typeScriptSdk(): Promise<Sdk> {
  const facts = { name: "TypeScript", hasData: true, asksInWords: true, failsWhenThrown: true };
  const node = await findSystemNode(18);
  if ("missing" in node) return { ...facts, command: [], ...node };
  const folder = await Deno.makeTempDir({ prefix: "agentanycast_test_" });
  addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  return {
    ...facts,
    command: ["node", await bundleForNode(join(FOLDER, "existing_sdk_program.ts"), folder)],
  };
}

async function pythonSdk(): Promise<Sdk> {
  const facts = { name: "Python", hasData: false, asksInWords: false, failsWhenThrown: false };
  const found = await findPythonSdk();
  if ("missing" in found) return { ...facts, command: [], ...found };
  return { ...facts, command: [found.python, join(FOLDER, "existing_sdk_program.py")] };
}

/** What a test works with when the existing SDK's node runs and is connected to ours. */
interface Connected extends ExistingSdkNet {
  readonly sdk: Sdk;
  readonly theirId: string;
  readonly ourId: string;
}

const SDKS = [await typeScriptSdk(), await pythonSdk()];
for (const { name, missing } of SDKS) {
  if (missing !== undefined) console.warn(`Skipping the tests with the existing ${name} SDK: ${missing}`);
}

function existingTest(
  name: string,
  work: (net: ExistingSdkNet, sdk: Sdk) => Promise<void>,
  options: () => Promise<NetOptions & AsyncDisposable> = () =>
    Promise.resolve({ async [Symbol.asyncDispose]() {} }),
): void {
  for (const sdk of SDKS) {
    Deno.test({
      name: `the existing ${sdk.name} SDK ${name}`,
      ignore: sdk.missing !== undefined,
      fn: async () => {
        await using given = await options();
        await using net = await startExistingSdkNet(sdk.command, given);
        await work(net, sdk);
      },
    });
  }
}

/** As {@link existingTest}, connected; the daemon has to be gone after `stop()`. */
function connectedTest(name: string, work: (net: Connected) => Promise<void>): void {
  existingTest(name, async (net, sdk) => {
    const { theirs, ours, daemon, address } = net;
    const theirId = await theirs.call("start");
    await theirs.call("connectPeer", ours.peerId, [address]);
    await work({ ...net, sdk, theirId, ourId: ours.peerId });
    await theirs.call("stop");
    await daemon.untilGone();
  });
}

existingTest("starts and stops the daemon by its launch contract", async (net, sdk) => {
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
  if (sdk.name !== "TypeScript") return; // the Python one only connects after its first start
  daemon.watch();
  assert.equal(await theirs.call("start"), peerId);
  await theirs.call("stop");
  await daemon.untilGone();
});

existingTest("connects to a peer by an address and has its card", async (net) => {
  const { theirs, ours, address } = net;
  const theirId = await theirs.call("start");
  const nobody = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
  await assert.rejects(theirs.call("connectPeer", nobody, ["/ip4/127.0.0.1/tcp/1"]));
  await assert.rejects(theirs.call("getCard", nobody), { name: "CardNotAvailableError" });
  assert.ok(await theirs.call("sendTask", { peerId: nobody }, [{ text: "queued" }]));
  const peer = await theirs.call("connectPeer", ours.peerId, [address]);
  assert.equal(peer.peerId, ours.peerId);
  assert.deepEqual(await theirs.call("listPeers"), [ours.peerId]);
  const card = await theirs.call("getCard", ours.peerId);
  assert.deepEqual([card.name, card.peerId], ["Ours", ours.peerId]);
  assert.deepEqual(card.skills, [{ id: "echo", description: "Says it again" }]);
  assert.equal((await ours.getCard(theirId)).name, "Theirs");
});

connectedTest("has its task back completed with every part", async ({ theirs, ours, ourId, sdk }) => {
  const all = [
    { text: "Grüße", mediaType: "text/plain" },
    { data: { n: 1.5, list: [true, null, "x"], deep: { a: {} } } },
    { url: "https://example.org/a", metadata: { k: "v" } },
  ];
  const parts = sdk.hasData ? all : [{ text: "Grüße" }, { url: "https://example.org/a" }];
  let from = "";
  ours.onTask(async (task: IncomingTask) => {
    from = `${task.senderCard?.name}`;
    await task.complete([
      { artifactId: "1", name: "same", parts: task.messages.flatMap((message) => message.parts) },
      { artifactId: "2", name: "more", parts: [{ raw: new Uint8Array([0, 255]) }] },
    ]);
  });
  const task = await theirs.call("wait", await theirs.call("sendTask", { peerId: ourId }, parts));
  assert.equal(task.status, "completed");
  assert.deepEqual(task.artifacts, [
    { artifactId: "1", name: "same", parts },
    { artifactId: "2", name: "more", parts: [{ raw: { type: "Buffer", data: [0, 255] } }] },
  ]);
  assert.equal(from, "Theirs");
});

connectedTest("learns how its task ended when not completed", async ({ theirs, ours, ourId }) => {
  const aborted = Promise.withResolvers<void>();
  ours.onTask(async (task: IncomingTask) => {
    if (task.text === "fail") throw new Error("no paper");
    if (task.text === "reject") return await task.reject("not my job");
    const { signal } = task;
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    aborted.resolve();
  });
  const send = (text: string) => theirs.call("sendTask", { peerId: ourId }, [{ text }]);
  await assert.rejects(theirs.call("wait", await send("fail")), { name: "TaskFailedError" });
  await assert.rejects(theirs.call("wait", await send("reject")), { name: "TaskRejectedError" });
  const hanging = await send("hang");
  await theirs.call("cancel", hanging);
  await assert.rejects(theirs.call("wait", hanging), { name: "TaskCanceledError" });
  await aborted.promise;
});

connectedTest("answers our tasks by its handler", async ({ ours, theirId, sdk }) => {
  const send = async (text: string) => {
    const handle = await ours.sendTask([{ text }, ...(sdk.hasData ? [{ data: { n: 1 } }] : [])], {
      peerId: theirId,
      targetSkill: "echo",
    });
    return await handle.wait({ timeoutMs: PROGRAM_MS });
  };
  const { artifacts } = await send("hello");
  assert.deepEqual(artifacts, [{
    artifactId: "1",
    name: "echo",
    parts: [{ text: "hello" }, ...(sdk.hasData ? [{ data: { n: 1 } }] : []), { text: "Ours" }],
  }]);
  await assert.rejects(send("fail no paper"), { name: "TaskFailedError", message: "no paper" });
  await assert.rejects(send("ask which one?"), {
    name: "TaskInputRequiredError",
    ...(sdk.asksInWords && { message: "which one?" }),
  });
  if (!sdk.failsWhenThrown) return;
  await assert.rejects(send("throw no ink"), { name: "TaskFailedError", message: "Error: no ink" });
});

existingTest(
  "finds us by a skill over a relay, and sends us a task for it",
  async ({ theirs, ours, daemon }) => {
    ours.onTask((task) => task.complete(`did ${task.text}`), { skill: "echo" });
    const theirId = await theirs.call("start");
    assert.equal((await daemon.argv()).at(-1)?.startsWith("--bootstrap-peers=/ip4/127.0.0.1/"), true);
    const find = async () =>
      (await theirs.call("discover", "echo")).find(({ peerId }) => peerId === ours.peerId);
    let us = await find();
    // Registers as soon as it has reached the relay.
    for (let tries = 0; us === undefined && tries < 1_000; tries++) us = await find();
    assert.deepEqual([us?.agentName, us?.skills], ["Ours", [{
      skillId: "echo",
      description: "Says it again",
    }]]);
    assert.deepEqual(await theirs.call("discover", "unheard-of"), []);
    const task = await theirs.call(
      "wait",
      await theirs.call("sendTask", { skill: "echo" }, [{ text: "it" }]),
    );
    assert.equal(task.artifacts[0]?.parts[0]?.text, "did it");
    assert.notEqual(theirId, ours.peerId);
    await assert.rejects(theirs.call("sendTask", { skill: "unheard-of" }, [{ text: "x" }]), {
      name: "SkillNotFoundError",
    });
  },
  async () => {
    const relay = await startTestRelay();
    const env = { AGENTANYCAST_ANYCAST_EMPTY_CACHE_TTL: "0", AGENTANYCAST_ANYCAST_CACHE_TTL: "0" };
    return { env, relay: relay.address, [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose]() };
  },
);

existingTest(
  "sends a task to an agent behind a URL",
  async ({ theirs, ours, bridgeUrl = "" }) => {
    ours.onTask((task) => task.complete(`did ${task.text}`));
    await theirs.call("start");
    const task = await theirs.call(
      "wait",
      await theirs.call("sendTask", { url: bridgeUrl }, [{ text: "it" }]),
    );
    assert.equal(task.artifacts[0]?.parts[0]?.text, "did it");
  },
  () =>
    Promise.resolve({
      env: { AGENTANYCAST_OUTBOUND_ALLOW: "127.0.0.1" },
      flags: { "bridge-listen": "127.0.0.1:0" },
      async [Symbol.asyncDispose]() {},
    }),
);

/** What both SDKs call, in this order, for the life that the test below gives them. */
const RPC_SEQUENCE = ["GetNodeInfo", "SetAgentCard", "GetNodeInfo", "SubscribeIncomingTasks", "ListPeers"];

for (const sdk of SDKS) {
  Deno.test({
    name: `the existing ${sdk.name} SDK attaches to a daemon that runs, by its sequence of calls`,
    ignore: sdk.missing !== undefined,
    fn: async () => {
      await using dir = await tempDir();
      await using test = await startTestDaemon();
      await using recording = await startRecordingDaemon(test.daemon.grpcAddress);
      const setup = {
        home: dir.path,
        daemon: "/nowhere/agentanycastd",
        daemonAddr: recording.address.replace("tcp://", ""),
      };
      await using theirs = new ExistingSdk(sdk.command, { env: {}, setup });
      const peerId = await theirs.call("start");
      assert.equal(peerId, test.daemon.peerId);
      assert.deepEqual(await theirs.call("listPeers"), []);
      await theirs.call("stop");
      assert.deepEqual(recording.calls, RPC_SEQUENCE);
    },
  });
}
