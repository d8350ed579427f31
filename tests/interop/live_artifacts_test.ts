import assert from "node:assert/strict";
import { Role, type StreamResponse, type Task } from "@a2a-js/sdk";
import { abortable } from "../../core/abortable.ts";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { Node } from "../../sdk/mod.ts";
import { startTestDaemon, type TestDaemon } from "../support/test_daemon.ts";
import { openOfficialClient, SPOKEN_BINDINGS, type SpokenBinding } from "./a2a_clients.ts";

const FLAGS = { "bridge-listen": "127.0.0.1:0", "bridge-grpc-listen": "127.0.0.1:0" };
const PICTURE = new Uint8Array([0, 1, 254, 255]);

/** What an agent waits for between the pieces of its text: one gate per task, named by its text. */
const gates = new Map<string, PromiseWithResolvers<void>>();

/** An agent that streams a text, whose second piece waits for the gate and begins within a character, and a picture. */
async function startPainter(home: string): Promise<Node> {
  const node = new Node({ card: { name: "Painter", skills: [{ id: "paint", name: "Paint" }] }, home });
  node.onTask(async (task) => {
    const gate = gates.get(task.messages[0]?.parts[0]?.text ?? "");
    const menu = new TextEncoder().encode("café");
    const pieces = async function* () {
      yield menu.subarray(0, 4);
      await gate?.promise;
      yield menu.subarray(4);
    };
    await task.sendArtifact({
      ...{ artifactId: "menu", name: "menu.txt", mediaType: "text/plain" },
      data: pieces(),
    });
    await task.sendArtifact({ artifactId: "picture", mediaType: "image/png", data: PICTURE });
    await task.complete();
  });
  await node.start();
  void node.serveForever();
  return node;
}

async function startPair(): Promise<{ bridge: TestDaemon; agent: TestDaemon } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const bridge = stack.use(await startTestDaemon({ flags: FLAGS }));
  const agent = stack.use(await startTestDaemon());
  await bridge.rpc.unary(NodeService.method.connectPeer, {
    peerId: agent.daemon.peerId,
    addresses: agent.daemon.addresses(),
  });
  stack.use(await startPainter(bridge.home));
  stack.use(await startPainter(agent.home));
  const owned = stack.move();
  return { bridge, agent, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function send(text: string, tenant: string) {
  const part = { content: { $case: "text", value: text }, metadata: undefined, filename: "", mediaType: "" };
  const message = { messageId: crypto.randomUUID(), contextId: "", taskId: "", role: Role.ROLE_USER };
  return {
    tenant,
    message: { ...message, parts: [part], metadata: undefined, extensions: [], referenceTaskIds: [] },
    configuration: { acceptedOutputModes: [], taskPushNotificationConfig: undefined },
    metadata: undefined,
  } as never;
}

function contentOf(artifact: Task["artifacts"][number] | undefined): unknown {
  const content = artifact?.parts[0]?.content;
  return content?.$case === "raw" ? [...content.value] : content?.value;
}

/** What a client that comes later gets first of an artifact. */
async function firstPiece(events: AsyncGenerator<StreamResponse>): Promise<unknown> {
  for await (const { payload } of events) {
    if (payload?.$case !== "artifactUpdate") continue;
    return [payload.value.append, contentOf(payload.value.artifact)];
  }
  return undefined;
}

/** The gate opens when the first piece is there: an artifact that comes whole at the end would never come. */
async function watch(url: string, spoken: SpokenBinding, tenant = ""): Promise<void> {
  const client = await openOfficialClient(url, spoken);
  const name = crypto.randomUUID();
  const gate = Promise.withResolvers<void>();
  gates.set(name, gate);
  const events: AsyncGenerator<StreamResponse> = client.sendMessageStream(send(name, tenant));
  const seen: unknown[] = [];
  let id = "";
  const reading = (async () => {
    for await (const { payload } of events) {
      if (payload?.$case === "task") id = payload.value.id;
      if (payload?.$case !== "artifactUpdate") continue;
      const { artifact, append, lastChunk } = payload.value;
      seen.push([artifact?.artifactId, append, lastChunk, contentOf(artifact)]);
      if (seen.length > 1) continue;
      assert.deepEqual(await firstPiece(client.resubscribeTask({ tenant, id })), [false, "caf"]);
      gate.resolve();
    }
  })();
  await abortable(reading, AbortSignal.timeout(20_000));
  // The official client drops `append` of the REST binding of 0.3.
  const append = spoken.binding !== "HTTP+JSON" || spoken.version !== "0.3";
  assert.deepEqual(seen, [
    ["menu", false, false, "caf"],
    ["menu", append, false, "é"],
    ["menu", append, true, ""],
    ["picture", false, true, [...PICTURE]],
  ]);
  const { artifacts } = await client.getTask({ tenant, id, historyLength: 0 });
  const results = artifacts.map((one) => [one.artifactId, contentOf(one)]);
  assert.deepEqual(results, [["menu", "café"], ["picture", [...PICTURE]]]);
}

// The official gRPC client keeps timers of its channel after it is closed.
const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test(
  "the official A2A client gets artifacts of the own agent and of one of the network while they are made",
  options,
  async (t) => {
    await using pair = await startPair();
    const own = pair.bridge.daemon.bridgeUrl ?? "";
    const peer = `${own}/agents/${pair.agent.daemon.peerId}`;
    for (const spoken of SPOKEN_BINDINGS) {
      await t.step(`own agent, ${spoken.name}`, () => watch(own, spoken));
      // Over gRPC the tenant says which agent is meant.
      const [url, tenant] = spoken.binding === "GRPC"
        ? [own, `agents/${pair.agent.daemon.peerId}`]
        : [peer, ""];
      await t.step(`agent of the network, ${spoken.name}`, () => watch(url, spoken, tenant));
    }
  },
);
