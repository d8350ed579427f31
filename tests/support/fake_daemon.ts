import { Channel } from "../../core/channel.ts";
import { CodedError } from "../../core/errors.ts";
import { silentLogger } from "../../core/log.ts";
import type { DescMessage, Message, MessageInitShape } from "@bufbuild/protobuf";
import { createRpcService, type RpcHandlers } from "../../daemon/grpc/rpc.ts";
import { startGrpcServer } from "../../daemon/grpc/server.ts";
import { type TaskSchema, TaskStatus } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import {
  NodeService,
  type SendTaskRequest,
  type SubscribeIncomingTasksResponseSchema,
  type SubscribeTaskUpdatesResponseSchema,
} from "../../gen/agentanycast/v1/node_service_pb.ts";

/** A message written as a literal. */
type Init<S extends DescMessage> = Exclude<MessageInitShape<S>, Message>;

export type TaskInit = Init<typeof TaskSchema>;
export type UpdateInit = Init<typeof SubscribeTaskUpdatesResponseSchema>;
export type DeliveryInit = Init<typeof SubscribeIncomingTasksResponseSchema>;
type Handlers = Partial<RpcHandlers<typeof NodeService>>;

/** The peer id of Ed25519 key bytes 0 to 31. */
export const FAKE_PEER_ID = "12D3KooW9pP4Seg3kZYhySpuVjn1RPdQBsUFZKiFxGMGQN5MeL6A";

/**
 * A daemon without a network, played by the test: it keeps one task per id, tells subscribers what the test says and records
 * every call as `[method, request]`.
 */
export class FakeDaemon implements AsyncDisposable {
  readonly calls: { method: string; request: Record<string, unknown> }[] = [];
  readonly #tasks = new Map<string, TaskInit>();
  readonly #updates = new Map<string, Set<Channel<UpdateInit>>>();
  readonly #incoming = new Set<Channel<DeliveryInit>>();
  readonly #waiters = new Set<() => void>();
  #server: AsyncDisposable | undefined;
  address = "";

  constructor(readonly overrides: Handlers = {}) {}

  /** Serves; on the same address as before when it served already. */
  async start(listen = this.address || "tcp://127.0.0.1:0"): Promise<this> {
    const service = createRpcService(NodeService, this.#recorded({ ...this.#handlers(), ...this.overrides }));
    const server = await startGrpcServer({ services: [service], logger: silentLogger }, { listen });
    this.#server = server;
    this.address = server.address;
    return this;
  }

  async stop(): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
    this.#server = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Sets the state of a task and tells its subscribers. */
  update(taskId: string, task: TaskInit, told: UpdateInit = {}): void {
    this.#tasks.set(taskId, { ...this.#tasks.get(taskId), ...task, taskId });
    this.#changed();
    const update = { ...this.#stateOf(taskId), ...told };
    for (const channel of this.#updates.get(taskId) ?? []) channel.push(update);
  }

  /** Delivers an incoming task to whoever listens. */
  deliver(delivery: DeliveryInit & { task: TaskInit }): void {
    this.#tasks.set(delivery.task.taskId ?? "", delivery.task);
    for (const channel of this.#incoming) channel.push(delivery);
  }

  /** Ends every stream without an error, as a daemon may do that loses its state. */
  endStreams(): void {
    for (const channel of [...this.#incoming, ...[...this.#updates.values()].flatMap((set) => [...set])]) {
      channel.close();
    }
  }

  task(taskId: string): TaskInit | undefined {
    return this.#tasks.get(taskId);
  }

  called(method: keyof Handlers): Record<string, unknown>[] {
    return this.calls.filter((call) => call.method === method).map((call) => call.request);
  }

  get listeners(): number {
    return this.#incoming.size;
  }

  /** Subscriptions to updates of a task. */
  watchers(taskId: string): number {
    return this.#updates.get(taskId)?.size ?? 0;
  }

  /** Resolves when `condition` holds; it is checked whenever something happens. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiters.add(resolve));
  }

  #changed(): void {
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
  }

  #recorded(handlers: Handlers): Handlers {
    return Object.fromEntries(
      Object.entries(handlers).map(([method, handler]) => [
        method,
        (request: Record<string, unknown>, context: never) => {
          this.calls.push({ method, request });
          this.#changed();
          return (handler as (request: unknown, context: never) => unknown)(request, context);
        },
      ]),
    ) as Handlers;
  }

  #stateOf(taskId: string): UpdateInit {
    const task = this.#tasks.get(taskId);
    return {
      taskId,
      status: task?.status ?? TaskStatus.SUBMITTED,
      artifacts: [...task?.artifacts ?? []],
      errorMessage: task?.errorMessage ?? "",
    };
  }

  #known(taskId: string): TaskInit {
    const task = this.#tasks.get(taskId);
    if (task === undefined) throw new CodedError("not_found", `No task ${taskId}`);
    return task;
  }

  #send(request: SendTaskRequest): { task: TaskInit } {
    const taskId = request.taskId || `task-${this.#tasks.size + 1}`;
    const task: TaskInit = this.#tasks.get(taskId) ?? {
      taskId,
      contextId: request.contextId || "context-1",
      status: TaskStatus.SUBMITTED,
      messages: request.message === undefined ? [] : [request.message],
      metadata: request.metadata,
      targetSkillId: request.targetSkillId,
      originatorPeerId: "local",
    };
    this.#tasks.set(taskId, task);
    return { task };
  }

  #handlers(): Handlers {
    const update: FakeDaemon["update"] = (...args) => this.update(...args);
    return {
      getNodeInfo: () => ({ nodeInfo: { peerId: FAKE_PEER_ID, version: "0.0.0" } }),
      setAgentCard: () => ({}),
      sendTask: (request) => this.#send(request),
      getTask: ({ taskId }) => ({ task: this.#known(taskId) }),
      cancelTask: ({ taskId }) => {
        this.#known(taskId);
        update(taskId, { status: TaskStatus.CANCELED });
        return { task: this.#known(taskId) };
      },
      updateTaskStatus: ({ taskId, status, message }) => {
        update(taskId, { status }, message === undefined ? {} : { message });
        return {};
      },
      completeTask: ({ taskId, artifacts }) => {
        update(taskId, { status: TaskStatus.COMPLETED, artifacts });
        return {};
      },
      failTask: ({ taskId, errorMessage }) => {
        update(taskId, { status: TaskStatus.FAILED, errorMessage });
        return {};
      },
      subscribeTaskUpdates: ({ taskId }, { signal }) => {
        this.#known(taskId);
        const channels = this.#updates.get(taskId) ?? new Set();
        this.#updates.set(taskId, channels);
        return this.#open(channels, { signal, first: [this.#stateOf(taskId)] });
      },
      subscribeIncomingTasks: (_request, { signal }) => this.#open(this.#incoming, { signal, first: [] }),
    };
  }

  #open<T>(channels: Set<Channel<T>>, { signal, first }: { signal: AbortSignal; first: T[] }): Channel<T> {
    const channel = new Channel<T>(1_000, () => {
      channels.delete(channel);
      this.#changed();
    });
    channels.add(channel);
    for (const item of first) channel.push(item);
    signal.addEventListener("abort", () => channel.close(), { once: true });
    this.#changed();
    return channel;
  }
}

if (import.meta.main) {
  const listen = Deno.args.find((arg) => arg.startsWith("--grpc-listen="))?.slice("--grpc-listen=".length);
  const daemon = await new FakeDaemon().start(listen);
  await new Promise<void>((resolve) => Deno.addSignalListener("SIGTERM", () => resolve()));
  await daemon.stop();
  Deno.exit(0);
}
