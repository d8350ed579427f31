import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { resolveConfig } from "../../core/config.ts";
import { silentLogger } from "../../core/log.ts";
import { startDaemon } from "../../daemon/mod.ts";
import { type TaskSchema, TaskStatus } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import {
  NodeService,
  type SubscribeIncomingTasksResponse,
  type SubscribeTaskUpdatesResponse,
} from "../../gen/agentanycast/v1/node_service_pb.ts";
import { createRpcClient, type RpcClient } from "../../rpc/rpc_client.ts";
import { tempDir } from "../support/temp_dir.ts";
import { ForeignPeer } from "./foreign_peer.ts";

/** A daemon of ours, a client of it, and a foreign peer. */
export interface InteropNet extends AsyncDisposable {
  readonly rpc: RpcClient;
  /** The daemon's peer id. */
  readonly ours: string;
  /** Where the daemon can be dialed. */
  readonly address: string;
  readonly peer: ForeignPeer;
  /** The tasks that arrive at the daemon's agent. */
  readonly incoming: AsyncIterator<SubscribeIncomingTasksResponse>;
}

/** The updates of one task. */
export type Updates = AsyncIterator<SubscribeTaskUpdatesResponse>;

/** How the foreign peer is run, and whether it is connected to the daemon from the start (default true). */
export interface InteropNetOptions {
  node: string;
  bundle: string;
  connected?: boolean;
}

/** Starts a daemon on the loopback interface and a foreign peer that dials it. */
export async function startInteropNet(options: InteropNetOptions): Promise<InteropNet> {
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await tempDir()).path;
  const config = resolveConfig({
    flags: { home, listen: "/ip4/127.0.0.1/tcp/0", "enable-mdns": "false" },
    env: {},
    userHome: home,
    readFile: () => undefined,
  });
  const daemon = stack.use(await startDaemon(config, { logger: silentLogger }));
  const rpc = stack.use(createRpcClient(daemon.grpcAddress));
  const incoming = rpc.stream(NodeService.method.subscribeIncomingTasks, {})[Symbol.asyncIterator]();
  stack.defer(async () => void await incoming.return?.());
  const peer = stack.use(await ForeignPeer.start(options.node, options.bundle));
  const address = daemon.addresses()[0] as string;
  if (options.connected ?? true) await peer.command("dial", { address });
  const owned = stack.move();
  return {
    rpc,
    ours: daemon.peerId,
    address,
    peer,
    incoming,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Text as the parts of a message or an artifact. */
export function textParts(text: string) {
  return [{ content: { case: "textPart" as const, value: { text } } }];
}

/** Has the foreign peer send a task and answers it as our agent gets it. */
export async function takeTask(
  net: InteropNet,
  taskId: string,
): Promise<MessageInitShape<typeof TaskSchema>> {
  await net.peer.deliver(net.ours, {
    case: "sendTask",
    value: { taskId, targetSkillId: "echo", message: { messageId: "m1", parts: textParts("hello") } },
  });
  return await nextTask(net);
}

/** The next task that our agent gets. */
export async function nextTask({ incoming }: InteropNet): Promise<MessageInitShape<typeof TaskSchema>> {
  const { value } = await incoming.next();
  if (value?.task === undefined) throw new Error("The stream of incoming tasks ended");
  return value.task;
}

/** Sends a task from our agent to the foreign peer, which has it when this resolves; answers its id and its updates. */
export async function giveTask(
  net: InteropNet,
): Promise<{ taskId: string; updates: Updates }> {
  const { task } = await net.rpc.unary(NodeService.method.sendTask, {
    target: { case: "peerId", value: net.peer.peerId },
    message: { parts: textParts("do it") },
  });
  const taskId = task?.taskId ?? "";
  await net.peer.payload(taskId, "sendTask");
  return { taskId, updates: await subscribe(net, taskId) };
}

/** The updates of a task that is still submitted; its first one, which says so, is taken already. */
export async function subscribe(net: InteropNet, taskId: string): Promise<Updates> {
  const updates = net.rpc.stream(NodeService.method.subscribeTaskUpdates, { taskId })[Symbol.asyncIterator]();
  const { value } = await updates.next();
  assert.equal(value?.status, TaskStatus.SUBMITTED);
  return updates;
}
