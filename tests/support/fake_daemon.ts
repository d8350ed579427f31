import { Channel } from "../../core/channel.ts";
import { CodedError } from "../../core/errors.ts";
import { silentLogger } from "../../core/log.ts";
import { VERSION } from "../../core/version.ts";
import type { DescMessage, Message, MessageInitShape } from "@bufbuild/protobuf";
import { createRpcService, type RpcContext, type RpcHandlers } from "../../rpc/rpc_service.ts";
import { startGrpcServer } from "../../rpc/server.ts";
import { MessageRole, type TaskSchema, TaskStatus } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { AdminService } from "../../gen/agentanycast/v1/admin_service_pb.ts";
import {
  NodeService,
  type SendStreamingArtifactRequest,
  type SendTaskRequest,
  type SubscribeIncomingTasksResponseSchema,
  type SubscribeTaskStreamResponseSchema,
  type SubscribeTaskUpdatesResponseSchema,
} from "../../gen/agentanycast/v1/node_service_pb.ts";
import { Changes } from "./patience.ts";

/** A message written as a literal. */
type Init<S extends DescMessage> = Exclude<MessageInitShape<S>, Message>;

export type TaskInit = Init<typeof TaskSchema>;
export type UpdateInit = Init<typeof SubscribeTaskUpdatesResponseSchema>;
export type DeliveryInit = Init<typeof SubscribeIncomingTasksResponseSchema>;
export type StreamEventInit = NonNullable<Init<typeof SubscribeTaskStreamResponseSchema>["event"]>;
type Handlers = Partial<RpcHandlers<typeof NodeService>>;

/** A text as the one part of something. */
export const textPart = (text: string) => ({ content: { case: "textPart" as const, value: { text } } });

/** The peer id of Ed25519 key bytes 0 to 31. */
export const FAKE_PEER_ID = "12D3KooW9pP4Seg3kZYhySpuVjn1RPdQBsUFZKiFxGMGQN5MeL6A";

/**
 * A daemon without a network, played by the test: it keeps one task per id, tells subscribers what the test says and records
 * every call as `[method, request]`. It counts the changes of tasks and replays them, unless it is `legacy`.
 */
export class FakeDaemon implements AsyncDisposable {
  readonly calls: { method: string; request: Record<string, unknown> }[] = [];
  /** Headers of the calls that had a trace. */
  readonly traced: ReadonlyMap<string, string>[] = [];
  /** Claims that `RenewClaims` says are over. */
  readonly lostClaims = new Set<string>();
  /** What was uploaded to `SendStreamingArtifact`. */
  readonly uploads: SendStreamingArtifactRequest["event"][] = [];
  legacy = false;
  readonly #tasks = new Map<string, TaskInit>();
  readonly #log = new Map<string, UpdateInit[]>();
  readonly #streamed = new Map<string, StreamEventInit[]>();
  readonly #streams = new Map<string, Set<Channel<{ event: StreamEventInit }>>>();
  readonly #updates = new Map<string, Set<Channel<UpdateInit>>>();
  readonly #incoming = new Set<Channel<DeliveryInit>>();
  readonly #changes = new Changes();
  #server: AsyncDisposable | undefined;
  address = "";

  constructor(readonly overrides: Handlers = {}) {}

  /** Serves; on the same address as before when it served already. */
  async start(listen = this.address || "tcp://127.0.0.1:0"): Promise<this> {
    const node = { ...this.#handlers(), ...this.#streamHandlers(), ...this.overrides };
    const admin = {
      renewClaims: ({ claimIds }: { claimIds: string[] }) => ({
        lostClaimIds: claimIds.filter((id) => this.lostClaims.has(id)),
      }),
    };
    const services = [
      createRpcService(NodeService, this.#recorded(node)),
      createRpcService(AdminService, this.#recorded(admin)),
    ];
    const server = await startGrpcServer({ services, logger: silentLogger }, { listen });
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
    this.#changes.tell();
    const log = this.#logOf(taskId);
    const update = { ...this.#stateOf(taskId), ...told };
    if (!this.legacy) {
      update.generation = BigInt(log.length + 1);
      log.push(update);
    }
    for (const channel of this.#updates.get(taskId) ?? []) channel.push(update);
  }

  /** Delivers an incoming task to whoever listens. */
  deliver(delivery: DeliveryInit & { task: TaskInit }): void {
    this.#tasks.set(delivery.task.taskId ?? "", delivery.task);
    for (const channel of this.#incoming) channel.push(delivery);
  }

  /** The sender answers a task that waits for input; whoever listens is not told. Answers the task. */
  answer(taskId: string, text: string): TaskInit {
    const message = { messageId: crypto.randomUUID(), role: MessageRole.USER, parts: [textPart(text)] };
    const messages = [...this.#known(taskId).messages ?? [], message];
    this.update(taskId, { status: TaskStatus.WORKING, messages }, { message });
    return this.#known(taskId);
  }

  /** Something of a streamed artifact has come. */
  stream(taskId: string, event: StreamEventInit): void {
    const events = this.#streamed.get(taskId) ?? [];
    this.#streamed.set(taskId, [...events, event]);
    for (const channel of this.#streams.get(taskId) ?? []) channel.push({ event });
  }

  /** Ends every stream without an error, as a daemon may do that loses its state. */
  endStreams(): void {
    const of = <T>(map: Map<string, Set<Channel<T>>>) => [...map.values()].flatMap((set) => [...set]);
    for (const channel of [...this.#incoming, ...of(this.#updates)]) channel.close();
    for (const channel of of(this.#streams)) channel.close();
  }

  /** Subscriptions to what is streamed for a task. */
  readers(taskId: string): number {
    return this.#streams.get(taskId)?.size ?? 0;
  }

  task(taskId: string): TaskInit | undefined {
    return this.#tasks.get(taskId);
  }

  called(method: keyof Handlers | "renewClaims"): Record<string, unknown>[] {
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
  until(condition: () => boolean): Promise<void> {
    return this.#changes.until(condition);
  }

  #recorded<H extends object>(handlers: H): H {
    return Object.fromEntries(
      Object.entries(handlers).map(([method, handler]) => [
        method,
        (request: Record<string, unknown>, context: RpcContext) => {
          this.calls.push({ method, request });
          if (context.metadata.has("traceparent")) this.traced.push(context.metadata);
          this.#changes.tell();
          return (handler as (request: unknown, context: RpcContext) => unknown)(request, context);
        },
      ]),
    ) as H;
  }

  /** The changes of a task; the first one made it. */
  #logOf(taskId: string): UpdateInit[] {
    const log = this.#log.get(taskId) ?? [{ ...this.#stateOf(taskId), generation: 1n }];
    this.#log.set(taskId, log);
    return log;
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
    return this.legacy ? task : { ...task, generation: BigInt(this.#logOf(taskId).length) };
  }

  #send(request: SendTaskRequest): { task: TaskInit } {
    const taskId = request.taskId || `task-${this.#tasks.size + 1}`;
    const known = this.#tasks.get(taskId);
    const { message } = request;
    const isNew = !known?.messages?.some(({ messageId }) => messageId === message?.messageId);
    if (known !== undefined && message !== undefined && isNew) {
      if (known.status !== TaskStatus.INPUT_REQUIRED) {
        throw new CodedError("failed_precondition", "The task does not wait for input");
      }
      const messages = [...known.messages ?? [], message];
      this.update(taskId, { status: TaskStatus.WORKING, messages }, { message });
    }
    const task: TaskInit = this.#tasks.get(taskId) ?? {
      taskId,
      contextId: request.contextId || "context-1",
      status: TaskStatus.SUBMITTED,
      messages: request.message === undefined ? [] : [request.message],
      metadata: request.metadata,
      targetSkillId: request.targetSkillId,
      originatorPeerId: "local",
      ...(request.target.case === "peerId" && { peerId: request.target.value }),
      ...(request.deadline && { deadline: request.deadline }),
    };
    this.#tasks.set(taskId, task);
    return { task: this.#known(taskId) };
  }

  #handlers(): Handlers {
    const update: FakeDaemon["update"] = (...args) => this.update(...args);
    return {
      getNodeInfo: () => ({ nodeInfo: { peerId: FAKE_PEER_ID, version: VERSION } }),
      setAgentCard: () => ({}),
      sendTask: (request) => this.#send(request),
      getTask: ({ taskId }) => ({ task: this.#known(taskId) }),
      cancelTask: ({ taskId }) => {
        this.#known(taskId);
        update(taskId, { status: TaskStatus.CANCELED });
        return { task: this.#known(taskId) };
      },
      updateTaskStatus: ({ taskId, status, message }) => {
        const messages = [...this.#tasks.get(taskId)?.messages ?? [], ...message ? [message] : []];
        update(taskId, { status, messages }, message === undefined ? {} : { message });
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
      subscribeTaskUpdates: ({ taskId, afterGeneration }, { signal }) => {
        const { generation } = this.#known(taskId);
        const channels = this.#updates.get(taskId) ?? new Set();
        this.#updates.set(taskId, channels);
        const message = this.#tasks.get(taskId)?.messages?.findLast(({ role }) => role === MessageRole.AGENT);
        const first = afterGeneration === undefined || this.legacy
          ? [{ ...this.#stateOf(taskId), ...(message && { message }), ...(generation && { generation }) }]
          : this.#logOf(taskId).slice(Number(afterGeneration));
        const channel = this.#open(channels, { signal, first });
        if ((this.#tasks.get(taskId)?.status ?? 0) >= TaskStatus.COMPLETED) channel.close();
        return channel;
      },
      subscribeIncomingTasks: (_request, { signal }) => this.#open(this.#incoming, { signal, first: [] }),
    };
  }

  #streamHandlers(): Handlers {
    return {
      sendStreamingArtifact: async (requests) => {
        for await (const { event } of requests) {
          this.uploads.push(event);
          this.#changes.tell();
        }
        return {};
      },
      subscribeTaskStream: ({ taskId }, { signal }) => {
        this.#known(taskId);
        const channels = this.#streams.get(taskId) ?? new Set();
        this.#streams.set(taskId, channels);
        const first = (this.#streamed.get(taskId) ?? []).map((event) => ({ event }));
        return this.#open(channels, { signal, first });
      },
    };
  }

  #open<T>(channels: Set<Channel<T>>, { signal, first }: { signal: AbortSignal; first: T[] }): Channel<T> {
    const channel = new Channel<T>(1_000, () => {
      channels.delete(channel);
      this.#changes.tell();
    });
    channels.add(channel);
    for (const item of first) channel.push(item);
    signal.addEventListener("abort", () => channel.close(), { once: true });
    this.#changes.tell();
    return channel;
  }
}

if (import.meta.main) {
  const listen = Deno.args.find((arg) => arg.startsWith("--grpc-listen="))?.slice("--grpc-listen=".length);
  const daemon = await new FakeDaemon().start(listen);
  const stop = new Promise<void>((resolve) => Deno.addSignalListener("SIGTERM", () => resolve()));
  const left = Deno.stdin.readable.pipeTo(new WritableStream());
  await (Deno.args.includes("--stop-with-stdin") ? Promise.race([stop, left]) : stop);
  await daemon.stop();
  Deno.exit(0);
}
