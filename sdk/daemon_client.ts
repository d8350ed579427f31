import type {
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { type ErrorCode, toCodedError } from "../core/errors.ts";
import { AdminService, type ListTasksResponse } from "../gen/agentanycast/v1/admin_service_pb.ts";
import { NodeService } from "../gen/agentanycast/v1/node_service_pb.ts";
import { fromWireTask, toWireArtifact, toWireDirection, toWireMessage, toWireStatus } from "./convert.ts";
import { fromWireNodeInfo } from "./convert_node.ts";
import {
  type AgentAnycastError,
  DaemonConnectionError,
  TaskNotFoundError,
  toAgentAnycastError,
} from "./errors.ts";
import type { Artifact, Message, NodeInfo, Task, TaskFilter, TaskStatus } from "./model.ts";
import { createRpcClient, type RpcCallOptions, type RpcClient } from "./rpc_client.ts";

/** Limit of a call that names none: longer than any dial or lookup takes. */
const CALL_TIMEOUT_MS = 60_000;
/** Most tasks asked for at once. */
const MAX_PAGE = 200;
/** How long a daemon may take to say that it is there. */
const PROBE_TIMEOUT_MS = 2_000;

/** Codes after which trying again may help: the daemon went away, is stopping, or cut off a slow reader. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "cancelled",
  "unknown",
  "deadline_exceeded",
  "resource_exhausted",
  "aborted",
  "internal",
  "unavailable",
]);

/** Whether the same call may succeed later. */
export function isTransient(error: unknown): boolean {
  return TRANSIENT.has(toCodedError(error).code);
}

/** A daemon's `NodeService` in the words of this package; throws nothing but its errors. */
export class DaemonClient {
  readonly #rpc: RpcClient;

  constructor(readonly address: string) {
    this.#rpc = createRpcClient(address);
  }

  async call<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M["input"]>,
    options: RpcCallOptions = {},
  ): Promise<MessageShape<M["output"]>> {
    try {
      return await this.#rpc.unary(method, request, { timeoutMs: CALL_TIMEOUT_MS, ...options });
    } catch (error) {
      throw await this.#explain(error);
    }
  }

  stream<M extends DescMethodServerStreaming>(
    method: M,
    request: MessageInitShape<M["input"]>,
    signal: AbortSignal,
  ): AsyncIterable<MessageShape<M["output"]>> {
    return this.#rpc.stream(method, request, { signal });
  }

  async getInfo(options: RpcCallOptions = {}): Promise<NodeInfo> {
    const { nodeInfo, card } = await this.call(NodeService.method.getNodeInfo, {}, options);
    if (nodeInfo === undefined) throw new DaemonConnectionError(`No node answers at ${this.address}`);
    return fromWireNodeInfo(nodeInfo, card);
  }

  async getTask(taskId: string, options: RpcCallOptions = {}): Promise<Task> {
    return await this.#aboutTask(async () =>
      fromWireTask((await this.call(NodeService.method.getTask, { taskId }, options)).task)
    );
  }

  async cancelTask(taskId: string): Promise<Task> {
    return await this.#aboutTask(async () =>
      fromWireTask((await this.call(NodeService.method.cancelTask, { taskId })).task)
    );
  }

  /** Tasks the daemon knows, newest first, in short. */
  async listTasks(
    { status, direction, limit = 100 }: TaskFilter,
    options: RpcCallOptions = {},
  ): Promise<Task[]> {
    const tasks: Task[] = [];
    for (let pageToken: string | undefined = ""; pageToken !== undefined && tasks.length < limit;) {
      const page: ListTasksResponse = await this.call(AdminService.method.listTasks, {
        pageSize: Math.min(limit - tasks.length, MAX_PAGE),
        pageToken,
        statuses: status === undefined ? [] : [toWireStatus(status)],
        direction: toWireDirection(direction),
      }, options);
      tasks.push(...page.tasks.map(fromWireTask));
      pageToken = page.nextPageToken || undefined;
    }
    return tasks;
  }

  /** Asks the daemon to stop; it has not stopped yet when this resolves. */
  async requestStop(): Promise<void> {
    await this.call(AdminService.method.stopNode, {});
  }

  async updateStatus(taskId: string, status: TaskStatus, message?: Message): Promise<void> {
    await this.call(NodeService.method.updateTaskStatus, {
      taskId,
      status: toWireStatus(status),
      ...(message === undefined ? {} : { message: toWireMessage(message) }),
    });
  }

  async complete(taskId: string, artifacts: readonly Artifact[]): Promise<void> {
    await this.call(NodeService.method.completeTask, { taskId, artifacts: artifacts.map(toWireArtifact) });
  }

  async fail(taskId: string, errorMessage: string): Promise<void> {
    await this.call(NodeService.method.failTask, { taskId, errorMessage });
  }

  close(): void {
    this.#rpc[Symbol.dispose]();
  }

  async #aboutTask(work: () => Promise<Task>): Promise<Task> {
    try {
      return await work();
    } catch (error) {
      if (toCodedError(error).code !== "not_found") throw error;
      throw new TaskNotFoundError(toAgentAnycastError(error).message, { cause: error });
    }
  }

  /** `unavailable` may come from the daemon (a peer is not there) or mean that the daemon itself is not: asks it. */
  async #explain(error: unknown): Promise<AgentAnycastError> {
    const known = toAgentAnycastError(error);
    if (known.code !== "unavailable") return known;
    try {
      await this.#rpc.unary(NodeService.method.getNodeInfo, {}, { timeoutMs: PROBE_TIMEOUT_MS });
      return known;
    } catch {
      // Not there, or not able to answer: the first error tells more than this one.
      return new DaemonConnectionError(`Nobody answers at ${this.address}: is the daemon running?`, {
        cause: error,
      });
    }
  }
}
