import { type Clock, systemClock } from "../core/clock.ts";
import type { LogLevel } from "../core/log.ts";
import type {
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { type ErrorCode, toCodedError } from "../core/errors.ts";
import { VERSION } from "../core/version.ts";
import { AdminService, type ListTasksResponse } from "../gen/agentanycast/v1/admin_service_pb.ts";
import { NodeService } from "../gen/agentanycast/v1/node_service_pb.ts";
import {
  dateOf,
  fromWireTask,
  toWireArtifact,
  toWireDirection,
  toWireMessage,
  toWireStatus,
} from "./convert.ts";
import { fromWireNodeInfo } from "./convert_node.ts";
import {
  AgentAnycastError,
  DaemonConnectionError,
  TaskNotFoundError,
  toAgentAnycastError,
} from "./errors.ts";
import { ConnectionLostError } from "../rpc/http2_connection.ts";
import type { Artifact, DeadLetter, Message, NodeInfo, Task, TaskFilter, TaskStatus } from "./model.ts";
import { Outage } from "./outage.ts";
import { createCallClient } from "../rpc/call_client.ts";
import type { RpcCallOptions, RpcClient } from "../rpc/rpc_client.ts";

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

/** Whether it is not known what became of the call: nobody answered, or no longer. */
function isAnswerLost(error: unknown): boolean {
  return isConnectionLost(error) || toCodedError(error).code === "cancelled"; // which a stopping daemon says
}

function isConnectionLost(error: unknown): boolean {
  return [error, toCodedError(error).cause].some((one) => one instanceof ConnectionLostError);
}

/** How long and for whom a call is repeated. */
export interface PersistOptions {
  /** How long the daemon may be gone. */
  readonly reconnectMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Does `work`, which may be done twice, again for as long as the connection is lost meanwhile. Throws `DaemonConnectionError`
 * when the daemon stays away, `cancelled` when the signal fires, or what `work` throws.
 */
export async function persist<T>(
  work: (repeated: boolean) => Promise<T>,
  { reconnectMs, signal = new AbortController().signal }: PersistOptions,
): Promise<T> {
  const outage = new Outage(reconnectMs);
  for (let repeated = false;; repeated = true) {
    try {
      return await work(repeated);
    } catch (error) {
      if (signal.aborted || !isAnswerLost(error)) throw error;
      await outage.pause(error, signal).catch((reason) => {
        throw signal.aborted || !isConnectionLost(error) ? error : reason;
      });
    }
  }
}

/** Under which claim a task is changed; empty for none. */
export interface ClaimOptions {
  readonly claimId: string;
}

/** A daemon's `NodeService` in the words of this package; throws nothing but its errors. */
export class DaemonClient {
  /** By which deadlines and limits of the user are kept. */
  readonly clock: Clock;
  readonly #rpc: RpcClient;
  #closedFor: AgentAnycastError | undefined;

  /**
   * @param options.onLost told when the connection to the daemon has ended by itself.
   * @param options.clock default the wall clock.
   * @param options.rpc how it is called, which this client disposes. Default: over gRPC.
   */
  constructor(
    readonly address: string,
    options: { onLost?: () => void; rpc?: RpcClient | undefined; clock?: Clock } = {},
  ) {
    this.clock = options.clock ?? systemClock;
    this.#rpc = options.rpc ?? createCallClient(address, options);
  }

  async call<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M["input"]>,
    options: RpcCallOptions = {},
  ): Promise<MessageShape<M["output"]>> {
    try {
      this.#throwIfClosed();
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
    this.#throwIfClosed();
    return this.#rpc.stream(method, request, { signal });
  }

  /** See `RpcClient.upload`; throws the errors of this package and what `requests` throws. */
  async upload<M extends DescMethodClientStreaming>(
    method: M,
    requests: AsyncIterable<MessageInitShape<M["input"]>>,
    signal: AbortSignal,
  ): Promise<MessageShape<M["output"]>> {
    this.#throwIfClosed();
    return await this.#rpc.upload(method, requests, { signal });
  }

  async getInfo(options: RpcCallOptions = {}): Promise<NodeInfo> {
    const { nodeInfo, card } = await this.call(NodeService.method.getNodeInfo, {}, options);
    if (nodeInfo === undefined) throw new DaemonConnectionError(`No node answers at ${this.address}`);
    return fromWireNodeInfo(nodeInfo, card);
  }

  /** @param options.refresh asks the assignee first. */
  async getTask(taskId: string, options: RpcCallOptions & { refresh?: boolean } = {}): Promise<Task> {
    const { refresh = false, ...call } = options;
    return await this.#aboutTask(async () =>
      fromWireTask((await this.call(NodeService.method.getTask, { taskId, refresh }, call)).task)
    );
  }

  async cancelTask(taskId: string, options: RpcCallOptions = {}): Promise<Task> {
    return await this.#aboutTask(async () =>
      fromWireTask((await this.call(NodeService.method.cancelTask, { taskId }, options)).task)
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

  /** Webhooks of tasks that were given up, the last one first. */
  async listDeadLetters({ limit }: { limit: number }, options: RpcCallOptions = {}): Promise<DeadLetter[]> {
    const { deadLetters } = await this.call(AdminService.method.listDeadLetters, { limit }, options);
    return deadLetters.map(({ taskId, webhookId, url, reason, givenUpAt }) => ({
      ...{ taskId, webhookId, url, reason },
      givenUpAt: dateOf(givenUpAt) ?? new Date(0),
    }));
  }

  /** Asks the daemon to stop; it has not stopped yet when this resolves. */
  async requestStop(options: RpcCallOptions = {}): Promise<void> {
    await this.call(AdminService.method.stopNode, {}, options);
  }

  /** Changes how much the daemon logs, or only asks; answers the level from then on. */
  async setLogLevel(level: LogLevel | undefined, options: RpcCallOptions = {}): Promise<LogLevel> {
    const answer = await this.call(AdminService.method.setLogLevel, { level: level ?? "" }, options);
    return answer.level as LogLevel;
  }

  async requestReload(options: RpcCallOptions = {}): Promise<void> {
    await this.call(AdminService.method.reload, {}, options);
  }

  async updateStatus(
    taskId: string,
    { status, message }: { status: TaskStatus; message?: Message | undefined },
    { claimId }: ClaimOptions,
  ): Promise<void> {
    await this.call(NodeService.method.updateTaskStatus, {
      taskId,
      claimId,
      status: toWireStatus(status),
      ...(message === undefined ? {} : { message: toWireMessage(message) }),
    });
  }

  async complete(
    taskId: string,
    artifacts: readonly Artifact[],
    { claimId }: ClaimOptions,
  ): Promise<void> {
    await this.call(NodeService.method.completeTask, {
      taskId,
      claimId,
      artifacts: artifacts.map(toWireArtifact),
    });
  }

  async fail(taskId: string, errorMessage: string, { claimId }: ClaimOptions): Promise<void> {
    await this.call(NodeService.method.failTask, { taskId, errorMessage, claimId });
  }

  /** Lengthens claims, 1,000 at most; answers those that are over. */
  async renewClaims(claimIds: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
    const { lostClaimIds } = await this.call(
      AdminService.method.renewClaims,
      { claimIds: [...claimIds] },
      { signal },
    );
    return lostClaimIds;
  }

  /** Cuts all calls. Those and later ones throw `reason`, when there is one, and are not tried again. */
  close(reason?: AgentAnycastError): void {
    this.#closedFor ??= reason;
    this.#rpc[Symbol.dispose]();
  }

  #throwIfClosed(): void {
    if (this.#closedFor !== undefined) throw this.#closedFor;
  }

  async #aboutTask(work: () => Promise<Task>): Promise<Task> {
    try {
      return await work();
    } catch (error) {
      if (toCodedError(error).code !== "not_found") throw error;
      throw new TaskNotFoundError(toAgentAnycastError(error).message, { cause: error });
    }
  }

  /**
   * `unavailable` may come from the daemon (a peer is not there) or mean that the daemon itself is not, `unimplemented` that it is of
   * another version: asks it.
   */
  async #explain(error: unknown): Promise<AgentAnycastError> {
    const known = this.#closedFor ?? toAgentAnycastError(error);
    if (known.code !== "unavailable" && known.code !== "unimplemented") return known;
    try {
      const { nodeInfo } = await this.#rpc.unary(NodeService.method.getNodeInfo, {}, {
        timeoutMs: PROBE_TIMEOUT_MS,
      });
      const { version = VERSION } = nodeInfo ?? {};
      if (known.code === "unavailable" || version === VERSION) return known;
      const versions = `the daemon at ${this.address} is of version ${version}, this SDK of ${VERSION}`;
      return new AgentAnycastError(known.code, `${known.message} (${versions})`, { cause: error });
    } catch {
      if (known.code === "unimplemented") return known;
      // Not there, or not able to answer: the first error tells more than this one.
      return new DaemonConnectionError(`Nobody answers at ${this.address}: is the daemon running?`, {
        cause: error,
      });
    }
  }
}
