import assert from "node:assert/strict";
import { Role, type StreamResponse, type Task, TaskState } from "@a2a-js/sdk";
import type { Client } from "@a2a-js/sdk/client";
import { startBridgeAgent } from "../support/bridge_agent.ts";
import { startTestDaemon, type TestDaemon } from "../support/test_daemon.ts";
import { startWebhookReceiver } from "../support/webhook_receiver.ts";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { openOfficialClient, SPOKEN_BINDINGS, type SpokenBinding } from "./a2a_clients.ts";

const BRIDGE_FLAGS = {
  "bridge-listen": "127.0.0.1:0",
  "bridge-grpc-listen": "127.0.0.1:0",
  "bridge-webhook-allow": "127.0.0.1",
};

function send(
  text: string,
  more: { taskId?: string; returnImmediately?: boolean; historyLength?: number } = {},
) {
  const { taskId = "", ...configuration } = more;
  return {
    tenant: "",
    metadata: undefined,
    message: {
      messageId: crypto.randomUUID(),
      contextId: "",
      taskId,
      role: Role.ROLE_USER,
      parts: [{ content: { $case: "text", value: text }, metadata: undefined, filename: "", mediaType: "" }],
      metadata: undefined,
      extensions: [],
      referenceTaskIds: [],
    },
    configuration: { acceptedOutputModes: [], taskPushNotificationConfig: undefined, ...configuration },
  } as never;
}

function taskOf(result: unknown): Task {
  assert.ok(typeof result === "object" && result !== null && "status" in result, "the answer is no task");
  return result as Task;
}

function textOf(task: Task): string | undefined {
  const content = task.artifacts[0]?.parts[0]?.content;
  return content?.$case === "text" ? content.value : undefined;
}

async function collect(events: AsyncIterable<StreamResponse>): Promise<string[]> {
  const seen: string[] = [];
  for await (const { payload } of events) {
    const state = payload?.$case === "task" || payload?.$case === "statusUpdate"
      ? ` ${TaskState[payload.value.status?.state ?? 0]}`
      : "";
    seen.push(`${payload?.$case}${state}`);
  }
  return seen;
}

/** Every operation of A2A against the agent at `url`. */
async function useEverything(url: string, spoken: SpokenBinding): Promise<void> {
  const client = await openOfficialClient(url, spoken);
  const done = taskOf(await client.sendMessage(send("hello")));
  assert.equal(done.status?.state, TaskState.TASK_STATE_COMPLETED);
  assert.equal(textOf(done), "Echo: hello");

  const got = await client.getTask({ tenant: "", id: done.id, historyLength: 1 });
  assert.deepEqual([got.id, textOf(got), got.history.length], [done.id, "Echo: hello", 1]);

  await useStreams(client);
  await useTurns(client);
  await useCancel(client);
  await useWebhooks(client, done.id);
  if (spoken.version === "1.0") await useList(client, done);
  await assert.rejects(client.getTask({ tenant: "", id: "no-such-task" }), /not found/i);
}

async function useStreams(client: Client): Promise<void> {
  const seen = await collect(client.sendMessageStream(send("progress")));
  assert.equal(seen[0], "task TASK_STATE_SUBMITTED");
  assert.deepEqual(seen.slice(-2), ["artifactUpdate", "statusUpdate TASK_STATE_COMPLETED"]);
  const waiting = taskOf(await client.sendMessage(send("input-required")));
  const subscribed = client.resubscribeTask({ tenant: "", id: waiting.id });
  const first = await subscribed.next();
  assert.equal(first.value?.payload?.$case, "task");
  const rest = collect(subscribed);
  await client.sendMessage(send("more", { taskId: waiting.id }));
  assert.equal((await rest).at(-1), "statusUpdate TASK_STATE_COMPLETED");
}

async function useTurns(client: Client): Promise<void> {
  for (
    const [scenario, state] of [["input-required", "INPUT_REQUIRED"], ["auth-required", "AUTH_REQUIRED"]]
  ) {
    const asked = taskOf(await client.sendMessage(send(scenario ?? "")));
    assert.equal(TaskState[asked.status?.state ?? 0], `TASK_STATE_${state}`);
    const said = asked.status?.message?.parts[0]?.content;
    assert.equal(said?.$case, "text");
    const ended = taskOf(await client.sendMessage(send("answer", { taskId: asked.id })));
    assert.deepEqual([ended.id, ended.contextId, textOf(ended)], [asked.id, asked.contextId, "Echo: answer"]);
    await assert.rejects(client.sendMessage(send("too late", { taskId: asked.id })), /no further message/);
  }
  const failed = taskOf(await client.sendMessage(send("fail")));
  assert.equal(failed.status?.state, TaskState.TASK_STATE_FAILED);
  assert.equal(taskOf(await client.sendMessage(send("reject"))).status?.state, TaskState.TASK_STATE_REJECTED);
}

async function useCancel(client: Client): Promise<void> {
  const held = taskOf(await client.sendMessage(send("hold", { returnImmediately: true })));
  assert.match(TaskState[held.status?.state ?? 0] ?? "", /SUBMITTED|WORKING/);
  const request = { tenant: "", id: held.id, metadata: undefined };
  const canceled = await client.cancelTask(request);
  assert.equal(canceled.status?.state, TaskState.TASK_STATE_CANCELED);
  await assert.rejects(client.cancelTask(request), /Cannot cancel/);
}

async function useWebhooks(client: Client, taskId: string): Promise<void> {
  await using receiver = await startWebhookReceiver();
  const asked = taskOf(await client.sendMessage(send("input-required")));
  const config = {
    ...{ tenant: "", taskId: asked.id, id: "hook", url: receiver.url, token: "t0ken" },
    authentication: { scheme: "Bearer", credentials: "s3cret" },
  };
  const made = await client.createTaskPushNotificationConfig(config);
  assert.deepEqual([made.id, made.url], ["hook", receiver.url]);
  const place = { tenant: "", taskId: asked.id, id: "hook" };
  assert.equal((await client.getTaskPushNotificationConfig(place)).token, "t0ken");
  const list = { tenant: "", taskId: asked.id, pageSize: 0, pageToken: "" };
  assert.equal((await client.listTaskPushNotificationConfig(list)).configs.length, 1);
  await client.sendMessage(send("answer", { taskId: asked.id }));
  const told = await receiver.next();
  assert.equal(told.headers.get("authorization"), "Bearer s3cret");
  assert.equal(told.headers.get("x-a2a-notification-token"), "t0ken");
  await client.deleteTaskPushNotificationConfig(place);
  await client.deleteTaskPushNotificationConfig(place);
  assert.equal((await client.listTaskPushNotificationConfig({ ...list, taskId })).configs.length, 0);
}

async function useList(client: Client, done: Task): Promise<void> {
  const query = { tenant: "", contextId: "", status: 0, pageToken: "", statusTimestampAfter: undefined };
  const page = await client.listTasks(
    { ...query, pageSize: 2, historyLength: 0, includeArtifacts: false } as never,
  );
  assert.deepEqual([page.tasks.length, page.pageSize], [2, 2]);
  assert.notEqual(page.nextPageToken, "");
  const of = await client.listTasks({ ...query, contextId: done.contextId, includeArtifacts: true } as never);
  assert.deepEqual([of.totalSize, of.tasks[0]?.id, of.tasks[0]?.artifacts.length], [1, done.id, 1]);
}

async function startPair(): Promise<{ bridge: TestDaemon; agent: TestDaemon } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const bridge = stack.use(await startTestDaemon({ flags: BRIDGE_FLAGS }));
  const agent = stack.use(await startTestDaemon());
  await bridge.rpc.unary(NodeService.method.connectPeer, {
    peerId: agent.daemon.peerId,
    addresses: agent.daemon.addresses(),
  });
  stack.use(await startBridgeAgent(bridge.home));
  stack.use(await startBridgeAgent(agent.home));
  const owned = stack.move();
  return { bridge, agent, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

// The official gRPC client keeps timers of its channel after it is closed.
const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test(
  "the official A2A client does every operation with the own agent, in all bindings and versions",
  options,
  async (t) => {
    await using pair = await startPair();
    const url = pair.bridge.daemon.bridgeUrl ?? "";
    for (const spoken of SPOKEN_BINDINGS) await t.step(spoken.name, () => useEverything(url, spoken));
  },
);

Deno.test(
  "the official A2A client does every operation with an agent of the network, in all bindings over HTTP",
  options,
  async (t) => {
    await using pair = await startPair();
    const url = `${pair.bridge.daemon.bridgeUrl}/agents/${pair.agent.daemon.peerId}`;
    for (const spoken of SPOKEN_BINDINGS) {
      if (spoken.binding !== "GRPC") await t.step(spoken.name, () => useEverything(url, spoken));
    }
  },
);
