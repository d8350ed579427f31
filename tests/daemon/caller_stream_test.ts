import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  NodeService,
  type SendStreamingArtifactRequestSchema,
} from "../../gen/agentanycast/v1/node_service_pb.ts";
import { StreamEndReason } from "../../gen/agentanycast/v1/streaming_pb.ts";
import { tempDir } from "../support/temp_dir.ts";
import type { Json } from "../support/test_bridge.ts";
import { startTestDaemon } from "../support/test_daemon.ts";

const { method } = NodeService;

type Event = NonNullable<MessageInitShape<typeof SendStreamingArtifactRequestSchema>["event"]>;

/** An artifact of these chunks, as the agent sends it. */
async function* artifactOf(
  taskId: string,
  { mediaType, chunks }: { mediaType: string; chunks: readonly Uint8Array[] },
): AsyncGenerator<{ event: Event }> {
  const of = { taskId, artifactId: "picture" };
  yield { event: { case: "streamStart", value: { ...of, artifactName: "cat.bin", mediaType } } };
  for (const [sequence, data] of chunks.entries()) {
    yield { event: { case: "streamChunk", value: { ...of, data, sequence } } };
  }
  yield { event: { case: "streamEnd", value: { ...of, reason: StreamEndReason.COMPLETE } } };
}

/** Sends a message over HTTP and answers the task at once. */
async function begin(url: string | undefined): Promise<string> {
  const params = {
    message: { messageId: crypto.randomUUID(), role: "ROLE_USER", parts: [{ text: "Draw a cat" }] },
    configuration: { returnImmediately: true },
  };
  return (await call(url, "SendMessage", params)).task.id;
}

async function call(url: string | undefined, name: string, params: Json): Promise<Json> {
  const response = await fetch(url ?? "", {
    method: "POST",
    headers: { "content-type": "application/json", "a2a-version": "1.0" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: name, params }),
  });
  return (await response.json()).result;
}

const flags = { "bridge-listen": "127.0.0.1:0" };
const chunks = [new Uint8Array([0, 0]), new Uint8Array([1, 1])];

Deno.test("what an agent streams for a caller over HTTP is in the result of its task, also after a restart", async () => {
  await using home = await tempDir();
  let id = "";
  {
    await using net = await startTestDaemon({ flags, home: home.path });
    await net.rpc.unary(method.setAgentCard, { card: { name: "Painter", skills: [{ id: "paint" }] } });
    id = await begin(net.daemon.bridgeUrl);
    const mediaType = "application/octet-stream";
    await net.rpc.upload(method.sendStreamingArtifact, artifactOf(id, { mediaType, chunks }));
  }
  await using net = await startTestDaemon({ flags, home: home.path });
  await net.rpc.unary(method.completeTask, { taskId: id });
  const task = await call(net.daemon.bridgeUrl, "GetTask", { id });
  assert.equal(task.status.state, "TASK_STATE_COMPLETED");
  assert.deepEqual(task.artifacts, [{
    artifactId: "picture",
    name: "cat.bin",
    parts: [{ raw: "AAABAQ==", filename: "cat.bin", mediaType: "application/octet-stream" }],
  }]);
});

Deno.test("what is streamed for a caller as text is text, and raw when it is no UTF-8", async () => {
  await using net = await startTestDaemon({ flags });
  await net.rpc.unary(method.setAgentCard, { card: { name: "Poet", skills: [{ id: "write" }] } });
  const cases = [[new TextEncoder().encode("é"), { text: "é" }], [new Uint8Array([255]), {
    raw: "/w==",
  }]] as const;
  for (const [data, content] of cases) {
    const taskId = await begin(net.daemon.bridgeUrl);
    const poem = artifactOf(taskId, { mediaType: "text/plain", chunks: [data] });
    await net.rpc.upload(method.sendStreamingArtifact, poem);
    await net.rpc.unary(method.completeTask, { taskId });
    const { artifacts } = await call(net.daemon.bridgeUrl, "GetTask", { id: taskId });
    assert.deepEqual(artifacts[0].parts, [{ ...content, filename: "cat.bin", mediaType: "text/plain" }]);
  }
});

Deno.test("no more is streamed for a caller than its task has room for", async () => {
  await using net = await startTestDaemon({ flags });
  await net.rpc.unary(method.setAgentCard, { card: { name: "Painter", skills: [{ id: "paint" }] } });
  const taskId = await begin(net.daemon.bridgeUrl);
  const large = Array.from({ length: 9 }, () => new Uint8Array(1024 * 1024));
  await assert.rejects(
    net.rpc.upload(method.sendStreamingArtifact, artifactOf(taskId, { mediaType: "", chunks: large })),
    /at most 8388608 fit in a task/,
  );
  // What was given up takes no room.
  await net.rpc.upload(method.sendStreamingArtifact, artifactOf(taskId, { mediaType: "", chunks }));
  await net.rpc.unary(method.completeTask, { taskId });
  const { artifacts } = await call(net.daemon.bridgeUrl, "GetTask", { id: taskId });
  assert.equal(artifacts[0].parts[0].raw, "AAABAQ==");
});
