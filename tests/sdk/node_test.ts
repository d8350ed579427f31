import assert from "node:assert/strict";
import { CodedError } from "../../core/errors.ts";
import type { RpcHandlers } from "../../rpc/rpc_service.ts";
import { TaskStatus } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { ConnectionType } from "../../gen/agentanycast/v1/common_pb.ts";
import type { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import {
  CardNotAvailableError,
  DaemonConnectionError,
  Node,
  type NodeOptions,
  type NodeStatus,
  PeerNotFoundError,
  SkillNotFoundError,
  TaskNotFoundError,
} from "../../sdk/mod.ts";
import { FAKE_PEER_ID, FakeDaemon } from "../support/fake_daemon.ts";

interface Setup extends AsyncDisposable {
  readonly daemon: FakeDaemon;
  readonly node: Node;
}

async function setUp(
  { overrides = {}, ...options }: NodeOptions & { overrides?: Partial<RpcHandlers<typeof NodeService>> } = {},
): Promise<Setup> {
  const daemon = await new FakeDaemon(overrides).start();
  const node = new Node({ daemonAddr: daemon.address, ...options });
  await node.start();
  return {
    daemon,
    node,
    [Symbol.asyncDispose]: async () => {
      await node.stop();
      await daemon.stop();
    },
  };
}

const refuse = (code: CodedError["code"], message: string) => () => {
  throw new CodedError(code, message);
};

Deno.test("Node.start() learns who it is and publishes its card", async () => {
  await using net = await setUp({ card: { name: "Echo", skills: [{ id: "echo", tags: ["test"] }] } });
  assert.equal(net.node.peerId, FAKE_PEER_ID);
  assert.equal(net.node.did, "did:key:z6MkeTGwHmLmuCmgg4ABYhzWVh6ZX7hTwWt8gguAretUfc9c");
  const [request] = net.daemon.called("setAgentCard") as {
    card: { name: string; skills: { tags: string[] }[] };
  }[];
  assert.equal(request?.card.name, "Echo");
  assert.deepEqual(request?.card.skills[0]?.tags, ["test"]);
});

Deno.test("Node.setCard() publishes another card, also at the next start", async () => {
  await using net = await setUp({ card: { name: "Echo", skills: [] } });
  await net.node.setCard({ name: "Painter", skills: [{ id: "paint" }] });
  assert.equal(net.node.card?.name, "Painter");
  await net.node.stop();
  await net.node.start();
  const requests = net.daemon.called("setAgentCard") as { card: { name: string } }[];
  assert.deepEqual(requests.map(({ card }) => card.name), ["Echo", "Painter", "Painter"]);
});

Deno.test("Node.start() leaves the daemon's card alone when it has none", async () => {
  await using net = await setUp();
  assert.equal(net.daemon.called("setAgentCard").length, 0);
});

Deno.test("Node.start() throws when nobody answers at daemonAddr", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const node = new Node({ daemonAddr: `tcp://127.0.0.1:${port}` });
  await assert.rejects(node.start(), DaemonConnectionError);
  assert.equal(node.isRunning, false);
});

Deno.test("Node.start() throws cancelled when its signal has fired", async () => {
  const node = new Node({ daemonAddr: "tcp://127.0.0.1:1", signal: AbortSignal.abort() });
  await assert.rejects(node.start(), { code: "cancelled" });
  await node.stop();
});

Deno.test("Node.start() works again after stop()", async () => {
  await using net = await setUp();
  const handled: string[] = [];
  net.node.onTask((task) => {
    handled.push(task.text);
    return task.complete();
  });
  for (const text of ["one", "two"]) {
    await net.daemon.until(() => net.daemon.listeners === 1);
    net.daemon.deliver({ task: taskInit("same-id", text) });
    await net.daemon.until(() => net.daemon.task("same-id")?.status === TaskStatus.COMPLETED);
    await net.node.stop();
    assert.equal(net.node.isRunning, false);
    await net.node.start();
  }
  assert.deepEqual(handled, ["one", "two"]);
});

Deno.test("Node.start() is shared by concurrent calls, and stop() in between wins", async () => {
  await using net = await setUp();
  await net.node.stop();
  const statuses: NodeStatus["state"][] = [];
  const node = new Node({ daemonAddr: net.daemon.address, onStatus: ({ state }) => statuses.push(state) });
  await Promise.all([node.start(), node.start()]);
  await Promise.all([node.stop(), node.stop()]);
  assert.deepEqual(statuses, ["starting", "ready", "stopped"]);
  const start = node.start();
  await node.stop();
  await start.then(() => {}, (error) => assert.equal(error.code, "cancelled"));
  assert.equal(node.isRunning, false);
});

Deno.test("Node refuses work before it is started", async () => {
  const node = new Node({ daemonAddr: "tcp://127.0.0.1:1" });
  assert.throws(() => node.peerId, { code: "failed_precondition" });
  await assert.rejects(node.sendTask("hi", { skill: "x" }), { code: "failed_precondition" });
});

Deno.test("Node.serveForever() comes back when the node is stopped", async () => {
  await using net = await setUp();
  const served = net.node.serveForever();
  await net.node.stop();
  await served;
});

Deno.test("Node.serveForever() comes back when its signal fires, and the node goes on", async () => {
  await using net = await setUp();
  await net.node.serveForever({ signal: AbortSignal.abort() });
  assert.equal(net.node.isRunning, true);
});

Deno.test("Node stops when the signal of its options fires", async () => {
  const controller = new AbortController();
  await using net = await setUp({ signal: controller.signal });
  const served = net.node.serveForever();
  controller.abort();
  await served;
  await net.node.stop();
  assert.equal(net.node.isRunning, false);
});

Deno.test("Node.sendTask() sends everything it is given", async () => {
  await using net = await setUp();
  const handle = await net.node.sendTask([{ text: "a" }, { data: { b: [1] } }], {
    skill: "s",
    targetSkill: "t",
    metadata: { k: "v" },
    contextId: "c",
    taskId: "id-1",
  });
  assert.equal(handle.taskId, "id-1");
  assert.equal(handle.status, "submitted");
  const [request] = net.daemon.called("sendTask");
  assert.deepEqual(request?.target, { case: "skillId", value: "s" });
  assert.equal(request?.targetSkillId, "t");
  assert.equal(request?.contextId, "c");
  assert.deepEqual({ ...request?.metadata as object }, { k: "v" });
  const snapshot = await net.node.getTask("id-1");
  assert.deepEqual(snapshot.messages[0]?.parts, [{ text: "a" }, { data: { b: [1] } }]);
  assert.deepEqual(snapshot.metadata, { k: "v" });
});

Deno.test("Node.sendTask() makes the same request again when a later run sends a task of the same id", async () => {
  await using net = await setUp();
  const send = () => net.node.sendTask("a", { peerId: FAKE_PEER_ID, taskId: "id-1" });
  await send();
  await send();
  const [first, second] = net.daemon.called("sendTask");
  assert.ok(first);
  assert.deepEqual(second, first);
});

Deno.test("Node.sendTask() throws TypeError unless there is exactly one target", async () => {
  await using net = await setUp();
  await assert.rejects(net.node.sendTask("x", {}), TypeError);
  await assert.rejects(net.node.sendTask("x", { skill: "s", url: "http://127.0.0.1" }), TypeError);
});

Deno.test("Node.sendTask() tells a missing peer from a missing skill and from a missing daemon", async () => {
  await using net = await setUp({
    reconnectMs: 50,
    overrides: { sendTask: refuse("unavailable", "nobody there") },
  });
  await assert.rejects(net.node.sendTask("x", { peerId: "p" }), PeerNotFoundError);
  await assert.rejects(net.node.sendTask("x", { skill: "s" }), SkillNotFoundError);
  await net.daemon.stop();
  await assert.rejects(net.node.sendTask("x", { peerId: "p" }), DaemonConnectionError);
});

Deno.test("Node.sendTask() passes other codes on", async () => {
  await using net = await setUp({ overrides: { sendTask: refuse("invalid_argument", "bad peer id") } });
  await assert.rejects(net.node.sendTask("x", { peerId: "p" }), {
    name: "AgentAnycastError",
    code: "invalid_argument",
    message: "bad peer id",
  });
});

Deno.test("Node.sendTask() throws cancelled when its signal fires", async () => {
  const called = Promise.withResolvers<void>();
  await using net = await setUp({
    overrides: {
      sendTask: () => {
        called.resolve();
        return new Promise(() => {});
      },
    },
  });
  const controller = new AbortController();
  const sending = net.node.sendTask("x", { skill: "s", signal: controller.signal });
  await called.promise;
  controller.abort();
  await assert.rejects(sending, { code: "cancelled" });
});

Deno.test("Node.getTask() and getTaskHandle() throw TaskNotFoundError when the task is unknown", async () => {
  await using net = await setUp();
  await assert.rejects(net.node.getTask("none"), TaskNotFoundError);
  await assert.rejects(net.node.getTaskHandle("none"), TaskNotFoundError);
});

Deno.test("Node.connectPeer() takes a peer id or a multiaddr", async () => {
  await using net = await setUp({
    overrides: {
      connectPeer: ({ peerId, addresses }) => ({
        peerInfo: { peerId, addresses, connectionType: ConnectionType.DIRECT, direction: "outbound" },
      }),
    },
  });
  const peer = await net.node.connectPeer(`/ip4/127.0.0.1/tcp/1/p2p/${FAKE_PEER_ID}`);
  assert.equal(peer.peerId, FAKE_PEER_ID);
  assert.deepEqual(peer.addresses, [`/ip4/127.0.0.1/tcp/1/p2p/${FAKE_PEER_ID}`]);
  assert.equal(peer.connection, "direct");
  assert.equal((await net.node.connectPeer("p", ["/ip4/127.0.0.1/tcp/2"])).addresses.length, 1);
});

Deno.test("Node.connectPeer() throws PeerNotFoundError when the peer cannot be reached", async () => {
  await using net = await setUp({ overrides: { connectPeer: refuse("unavailable", "dial failed") } });
  await assert.rejects(net.node.connectPeer("p"), PeerNotFoundError);
});

Deno.test("Node.getCard() answers the card or throws CardNotAvailableError", async () => {
  await using net = await setUp({
    overrides: {
      getPeerCard: ({ peerId }) => {
        if (peerId === "p") return { card: { name: "P", skills: [{ id: "s" }], p2pExtension: { peerId } } };
        throw new CodedError("not_found", "no card");
      },
    },
  });
  assert.deepEqual(await net.node.getCard("p"), { name: "P", skills: [{ id: "s" }], peerId: "p" });
  await assert.rejects(net.node.getCard("q"), CardNotAvailableError);
});

Deno.test("Node.discover() passes tags and limit on and returns all it is told", async () => {
  const agent = { peerId: "p", agentName: "n", agentDescription: "d" };
  const skill = { skillId: "s", description: "x", tags: { lang: "en" } };
  const found = { verified: true, via: ["dht"], addresses: ["/ip4/192.0.2.7/tcp/1"] };
  await using net = await setUp({
    overrides: {
      discover: () => ({ agents: [{ ...agent, skills: [skill], ...found, lastSeenAt: { seconds: 1n } }] }),
      listPeers: () => ({ peers: [] }),
    },
  });
  assert.deepEqual(await net.node.discover("s", { tags: { lang: "en" }, limit: 3 }), [{
    ...agent,
    skills: [skill],
    ...found,
    lastSeen: new Date(1_000),
  }]);
  assert.equal(net.daemon.called("discover")[0]?.limit, 3);
  assert.deepEqual(await net.node.listPeers(), []);
});

function taskInit(taskId: string, text: string) {
  return {
    taskId,
    status: TaskStatus.SUBMITTED,
    messages: [{ role: 1, parts: [{ content: { case: "textPart" as const, value: { text } } }] }],
  };
}

Deno.test("Node goes on when onStatus throws, whose error is an uncaught one of the program", async () => {
  const uncaught: unknown[] = [];
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    uncaught.push(event.error);
  };
  globalThis.addEventListener("error", onError);
  try {
    const slip = new Error("slip");
    const onStatus = () => {
      throw slip;
    };
    await using net = await setUp({ onStatus });
    assert.equal(net.node.isRunning, true);
    await net.node.stop();
    assert.equal(net.node.isRunning, false);
    assert.deepEqual([...new Set(uncaught)], [slip]);
  } finally {
    globalThis.removeEventListener("error", onError);
  }
});
