import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import type { ArtifactStreams } from "../../../a2a/streams/artifact_streams.ts";
import { silentLogger } from "../../../core/log.ts";
import { GRPC_STATUS } from "../../../core/rpc.ts";
import { toRpcMethodDefinition } from "../../../rpc/method_definition.ts";
import { createRpcService } from "../../../rpc/rpc_service.ts";
import { startGrpcServer } from "../../../rpc/server.ts";
import { streamHandlers } from "../../../daemon/grpc/stream_handlers.ts";
import {
  NodeService,
  type SubscribeTaskStreamResponse,
} from "../../../gen/agentanycast/v1/node_service_pb.ts";
import { StreamEndReason } from "../../../gen/agentanycast/v1/streaming_pb.ts";
import { createRpcClient } from "../../../rpc/rpc_client.ts";
import { settle, StreamNet } from "../../a2a/stream_net.ts";

const { sendStreamingArtifact, subscribeTaskStream } = NodeService.method;
type Event = NonNullable<Parameters<typeof create<typeof sendStreamingArtifact.input>>[1]>["event"];
const ids = { taskId: "task", artifactId: "one" };

async function serve(streams: ArtifactStreams) {
  return await startGrpcServer(
    { services: [createRpcService(NodeService, streamHandlers({ streams }))], logger: silentLogger },
    { listen: "tcp://127.0.0.1:0" },
  );
}

/** One `SendStreamingArtifact` call; `result` is the status it ends with. */
function openCall(address: string) {
  const client = new grpc.Client(address.replace("tcp://", ""), grpc.credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1, // the shared pool has a timer that nobody stops
  });
  const method = toRpcMethodDefinition(sendStreamingArtifact);
  const { promise: result, resolve } = Promise.withResolvers<{ code: number; details: string }>();
  const call = client.makeClientStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    (error) => resolve({ code: error?.code ?? grpc.status.OK, details: error?.details ?? "" }),
  );
  return {
    result,
    cancel: () => call.cancel(),
    end: () => call.end(),
    close: () => client.close(),
    /** Resolves when the transport took it. */
    write: (event: NonNullable<Event>) =>
      new Promise<void>((taken) => call.write(create(sendStreamingArtifact.input, { event }), () => taken())),
  };
}

const start = { case: "streamStart", value: { ...ids, artifactName: "one.bin" } } as const;
const chunk = (sequence: number, bytes: number) =>
  ({ case: "streamChunk", value: { ...ids, sequence, data: new Uint8Array(bytes).fill(sequence) } }) as const;
const end = { case: "streamEnd", value: { ...ids, reason: StreamEndReason.COMPLETE } } as const;
const nameOf = ({ event }: SubscribeTaskStreamResponse) =>
  event.case === "streamChunk" ? `${event.value.sequence}:${event.value.data.length}` : String(event.case);

Deno.test("streamHandlers() carries an artifact from one agent's call to another's subscription", async () => {
  await using net = new StreamNet();
  await using assignee = await serve(net.assignee);
  await using originator = await serve(net.originator);
  using client = createRpcClient(originator.address);
  const seen: string[] = [];
  const reading = (async () => {
    for await (const event of client.stream(subscribeTaskStream, { taskId: "task" })) {
      seen.push(nameOf(event));
    }
  })();
  const call = openCall(assignee.address);
  for (const event of [start, chunk(0, 300_000), chunk(1, 0), end]) void call.write(event);
  call.end();
  assert.deepEqual(await call.result, { code: grpc.status.OK, details: "" });
  net.originatorTasks.end("task", "completed");
  await reading;
  assert.deepEqual(seen, ["streamStart", "0:300000", "1:0", "streamEnd"]);
  call.close();
});

Deno.test("streamHandlers() gives a subscriber of one artifact that one, and ends when it is whole", async () => {
  await using net = new StreamNet();
  await using assignee = await serve(net.assignee);
  await using originator = await serve(net.originator);
  using client = createRpcClient(originator.address);
  const other = { taskId: "task", artifactId: "two" };
  for (const which of [ids, other]) {
    const whole = openCall(assignee.address);
    for (const event of [start, chunk(0, 10), end]) {
      void whole.write({ ...event, value: { ...event.value, ...which } } as NonNullable<Event>);
    }
    whole.end();
    assert.equal((await whole.result).code, grpc.status.OK);
    whole.close();
  }
  const seen: string[] = [];
  for await (const event of client.stream(subscribeTaskStream, other)) seen.push(nameOf(event));
  assert.deepEqual(seen, ["streamStart", "0:10", "streamEnd"]);
});

Deno.test("streamHandlers() stops reading a call whose receiver has no room", async () => {
  await using net = new StreamNet({ windowBytes: 100_000, maxChunkBytes: 100_000 });
  await using server = await serve(net.assignee);
  const held = Promise.withResolvers<void>();
  net.spool.held = held.promise;
  const call = openCall(server.address);
  void call.write(start);
  let taken = 0;
  const chunks = 400;
  const writing = (async () => {
    for (let sequence = 0; sequence < chunks; sequence++) {
      await call.write(chunk(sequence, 100_000));
      taken++;
    }
    await call.write(end);
    call.end();
  })();
  let before = -1;
  while (before !== taken) {
    before = taken;
    await settle(200);
  }
  assert.ok(taken < chunks / 4, `${taken} chunks of 100 kB were taken with a window of 100 kB`);
  held.resolve();
  await writing;
  assert.equal((await call.result).code, grpc.status.OK);
  call.close();
});

Deno.test("streamHandlers() ends the stream of a call that is cancelled, and answers what is wrong with others", async () => {
  await using net = new StreamNet();
  await using server = await serve(net.assignee);
  const events = net.originator.subscribe("task", { signal: new AbortController().signal })
    [Symbol.asyncIterator]();
  const call = openCall(server.address);
  void call.write(start);
  assert.equal((await events.next()).value.kind, "start");
  call.cancel();
  const { value } = await events.next();
  assert.deepEqual([value.kind, value.reason], ["end", "canceled"]);
  await events.return?.();
  call.close();
  for (
    const [event, code] of [
      [chunk(0, 1), "invalid_argument"],
      [{ case: undefined }, "invalid_argument"],
      [{ ...start, value: { ...start.value, taskId: "none" } }, "not_found"],
    ] as const
  ) {
    const bad = openCall(server.address);
    void bad.write(event);
    assert.equal((await bad.result).code, GRPC_STATUS[code]);
    bad.close();
  }
});
