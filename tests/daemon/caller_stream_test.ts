import assert from "node:assert/strict";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { StreamEndReason } from "../../gen/agentanycast/v1/streaming_pb.ts";
import { startTestDaemon } from "../support/test_daemon.ts";

const { method } = NodeService;

Deno.test("what an agent streams for a caller over HTTP is in the result of its task", async () => {
  await using net = await startTestDaemon({ flags: { "bridge-listen": "127.0.0.1:0" } });
  const { rpc, daemon } = net;
  await rpc.unary(method.setAgentCard, { card: { name: "Painter", skills: [{ id: "paint" }] } });
  const working = (async () => {
    for await (const { task } of rpc.stream(method.subscribeIncomingTasks, {})) {
      const taskId = task?.taskId ?? "";
      const of = { taskId, artifactId: "picture" };
      await rpc.upload(
        method.sendStreamingArtifact,
        async function* () {
          const start = { ...of, artifactName: "cat.bin", mediaType: "application/octet-stream" };
          yield { event: { case: "streamStart" as const, value: start } };
          for (const [sequence, isLast] of [[0, false], [1, true]] as const) {
            const data = new Uint8Array([sequence, sequence]);
            yield { event: { case: "streamChunk" as const, value: { ...of, data, sequence, isLast } } };
          }
          yield { event: { case: "streamEnd" as const, value: { ...of, reason: StreamEndReason.COMPLETE } } };
        }(),
      );
      await rpc.unary(method.completeTask, { taskId });
      return;
    }
  })();
  const response = await fetch(daemon.bridgeUrl ?? "", {
    method: "POST",
    headers: { "content-type": "application/json", "a2a-version": "1.0" },
    body: JSON.stringify({
      ...{ jsonrpc: "2.0", id: 1, method: "SendMessage" },
      params: { message: { messageId: "m1", role: "ROLE_USER", parts: [{ text: "Draw a cat" }] } },
    }),
  });
  await working;
  const { result: { task } } = await response.json();
  assert.equal(task.status.state, "TASK_STATE_COMPLETED");
  assert.deepEqual(task.artifacts, [{
    artifactId: "picture",
    name: "cat.bin",
    parts: [{ raw: "AAABAQ==", filename: "cat.bin", mediaType: "application/octet-stream" }],
  }]);
});
