import { errorMessage } from "../core/errors.ts";
import { NodeService, type SendTaskRequest } from "../gen/agentanycast/v1/node_service_pb.ts";
import { fromWireTask } from "./convert.ts";
import { fromWireAgent, fromWireCard, fromWireCheck, fromWirePeer, toWireCard } from "./convert_node.ts";
import { ask, type CallOptions } from "./call_options.ts";
import type { DaemonClient } from "./daemon_client.ts";
import { untilGone } from "./daemon_process.ts";
import { AgentAnycastError, CardNotAvailableError, DaemonError, toAgentAnycastError } from "./errors.ts";
import { IncomingTasks } from "./incoming_tasks.ts";
import type {
  AgentCard,
  CardCheck,
  DeadLetter,
  DiscoveredAgent,
  DiscoverOptions,
  MessageInput,
  NodeInfo,
  PeerInfo,
  Task,
  TaskFilter,
} from "./model.ts";
import { type NodeEvent, NodeEvents } from "./node_events.ts";
import { type NodeOptions, type ResolvedNodeOptions, resolveNodeOptions } from "./node_options.ts";
import { type NodeState, openNode, type Running } from "./running_node.ts";
import { type SendTaskOptions, toSendRequest, traceHeaders } from "./send_request.ts";
import { explainCard, explainPeer, explainTarget } from "./target_errors.ts";
import { DaemonTaskHandle, type TaskHandle } from "./task_handle.ts";
import {
  type CheckedTaskHandlerOptions,
  type TaskHandler,
  type TaskHandlerOptions,
  TaskHandlers,
  type TaskMiddleware,
} from "./task_handlers.ts";

/** How a node is stopped. */
export interface StopOptions {
  /** How long handlers that are at work may go on, in milliseconds. Default: `graceMs` of the node. */
  graceMs?: number;
}

/**
 * An agent's place in the network: sends tasks and handles those that come in, through a daemon that it starts, joins or is
 * given. Can be started again after it was stopped.
 *
 * ```ts
 * await using node = new Node({ card: { name: "Echo", skills: [{ id: "echo" }] } });
 * node.onTask((task) => task.complete(task.text));
 * await node.start();
 * await node.serveForever();
 * ```
 */
export class Node implements AsyncDisposable {
  readonly #options: ResolvedNodeOptions;
  readonly #handlers = new TaskHandlers((skillId) =>
    this.#card?.skills.find(({ id }) => id === skillId)?.inputSchema
  );
  #state: NodeState = { kind: "stopped" };
  readonly #events = new NodeEvents();
  /** Published at each start. */
  #card: AgentCard | undefined;

  /** Checks the options; nothing is opened before `start`. Throws `RangeError`. */
  constructor(options: NodeOptions = {}) {
    const { onStatus, ...resolved } = resolveNodeOptions(options);
    this.#options = {
      ...resolved,
      onStatus: (status) => {
        onStatus(status);
        this.#events.tell({ kind: "status", status });
      },
    };
    this.#card = options.card;
  }

  /** Throws `failed_precondition` before the start, as the other members that need the daemon do. */
  get peerId(): string {
    return this.#running().info.peerId;
  }

  /** The peer id as a `did:key`. */
  get did(): string {
    return this.#running().info.did;
  }

  /** The card given to this node. */
  get card(): AgentCard | undefined {
    return this.#card;
  }

  /**
   * Replaces the card that this node shows to the network while it runs; with `keep` the daemon shows it also when no node with
   * a card is there, and beside theirs until it ends. Throws `invalid_argument`.
   */
  async setCard(card: AgentCard, options: { keep?: boolean } & CallOptions = {}): Promise<void> {
    if (options.keep) {
      const request = { card: toWireCard(card) };
      await this.#ask(
        (daemon, signal) => daemon.call(NodeService.method.setAgentCard, request, { signal }),
        options,
      );
      return;
    }
    const { attachment, incoming } = this.#running();
    const before = this.#card;
    this.#card = card;
    try {
      await this.#ask((_, signal) => attachment.attach(signal), options);
    } catch (error) {
      this.#card = before;
      throw error;
    }
    await this.#handlers.prepare();
    incoming?.roleChanged();
  }

  /** Whether it is started and not stopped. */
  get isRunning(): boolean {
    return this.#state.kind === "running";
  }

  /**
   * Comes back when the node is ready; at once when it is. Throws `DaemonNotFoundError`, `DaemonDownloadError`, `DaemonStartError`,
   * `DaemonConnectionError`, `invalid_argument` for the input schema of a handler that is none, or `cancelled` when the node is
   * stopped meanwhile.
   */
  async start(): Promise<void> {
    while (this.#state.kind === "stopping") await this.#state.stopped;
    if (this.#state.kind === "running") return;
    const starting = this.#state.kind === "starting" ? this.#state : this.#beginStart();
    this.#state = starting;
    await starting.started;
  }

  /**
   * Comes back when the node is down, and the daemon too when the node has started it. New tasks stay with the daemon at once;
   * handlers at work get `graceMs` to end theirs, then their signals fire. A question that waits for its answer is no work: the
   * answer starts its handler anew. Can be called at any time; with `graceMs: 0` it also ends the grace of an earlier call.
   */
  async stop({ graceMs = this.#options.graceMs }: StopOptions = {}): Promise<void> {
    if (!(graceMs >= 0)) throw new RangeError(`graceMs must not be negative, got ${graceMs}`);
    const state = this.#state;
    if (state.kind === "stopped") return;
    if (state.kind === "stopping") {
      if (graceMs === 0) state.hurry.abort();
      return await state.stopped;
    }
    const hurry = new AbortController();
    const grace = { graceMs, signal: hurry.signal };
    const running = state.kind === "running" ? state.running : undefined;
    const stopped = running === undefined
      ? this.#cancelStart(state as NodeState & { kind: "starting" })
      : this.#shutDown(running, { grace });
    this.#state = { kind: "stopping", stopped, running, hurry };
    await stopped;
  }

  /** The same as `stop`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /**
   * Comes back when the node is stopped, or `signal` fires (the node then goes on). Throws `DaemonStartError` when the daemon has
   * died and could not be started again.
   */
  async serveForever(options: { signal?: AbortSignal } = {}): Promise<void> {
    const { lifetime } = this.#running();
    const signals = options.signal === undefined ? [lifetime.signal] : [lifetime.signal, options.signal];
    const ended = AbortSignal.any(signals);
    // A pending promise keeps no process alive, and a node without handlers has no other reason to stay.
    const keepAlive = setInterval(() => {}, 2 ** 30);
    await new Promise<void>((resolve) => {
      if (ended.aborted) resolve();
      else ended.addEventListener("abort", () => resolve(), { once: true });
    });
    clearInterval(keepAlive);
    if (lifetime.signal.aborted && this.#state.kind === "stopping") await this.#state.stopped;
    if (lifetime.signal.reason instanceof DaemonError) throw lifetime.signal.reason;
  }

  /**
   * What happens to this node, from now on, until the loop is left or `signal` fires: its peers, those first that are connected;
   * its card; what `onStatus` is told. Goes on over a restart of the daemon, and of the node. Throws `resource_exhausted` when
   * 1,000 events were not read.
   */
  events({ signal }: { signal?: AbortSignal } = {}): AsyncIterable<NodeEvent> {
    const state = this.#state;
    const peers = state.kind === "running" ? state.running.attachment.peers() : [];
    return this.#events.read(peers.map((peer) => ({ kind: "peer_connected", peer })), signal);
  }

  /** What the daemon tells about this node now. */
  async info(options: CallOptions = {}): Promise<NodeInfo> {
    return await this.#ask((daemon, signal) => daemon.getInfo({ signal }), options);
  }

  /**
   * Sends a task and comes back when the daemon has it on disk; a peer that cannot be reached gets it later. A connection to the
   * daemon that is lost meanwhile is made again, and the task is still one. Throws `SkillNotFoundError`, `PeerNotFoundError`
   * (from daemons that keep nothing for later), or another `AgentAnycastError` such as `invalid_argument` for a bad peer id.
   */
  async sendTask(message: MessageInput, options: SendTaskOptions): Promise<TaskHandle> {
    const request = toSendRequest(message, options, this.#daemon().clock.now());
    const headers = traceHeaders(options);
    try {
      const { task } = await this.#ask(
        (daemon, signal) => daemon.call(NodeService.method.sendTask, request, { signal, headers }),
        options,
      );
      return this.#handleOf(fromWireTask(task), request.target);
    } catch (error) {
      throw explainTarget(error, options);
    }
  }

  /** A snapshot of a task this node knows. Throws `TaskNotFoundError`. */
  async getTask(taskId: string, options: CallOptions = {}): Promise<Task> {
    return await this.#ask((daemon, signal) => daemon.getTask(taskId, { signal }), options);
  }

  /** Tasks the daemon knows, newest first, in short: the beginning of the request, artifacts without their parts. */
  async listTasks(options: TaskFilter & CallOptions = {}): Promise<Task[]> {
    return await this.#ask((daemon, signal) => daemon.listTasks(options, { signal }), options);
  }

  /** Webhooks of tasks that the daemon has given up, the last one first. `limit` is 100 when not given. */
  async listDeadLetters(options: { limit?: number } & CallOptions = {}): Promise<DeadLetter[]> {
    const { limit = 100 } = options;
    return await this.#ask((daemon, signal) => daemon.listDeadLetters({ limit }, { signal }), options);
  }

  /** Takes up a task again, for instance after this program was restarted. Throws `TaskNotFoundError`. */
  async getTaskHandle(taskId: string, options: CallOptions = {}): Promise<TaskHandle> {
    return this.#handleOf(await this.getTask(taskId, options));
  }

  /**
   * Handles the incoming tasks whose input fits a schema, with the input in `task.input`; others are rejected with what is wrong.
   * All else as without a schema.
   */
  onTask<Input>(handler: TaskHandler<Input>, options: CheckedTaskHandlerOptions<Input>): () => void;
  /**
   * Handles incoming tasks, each by one handler: the first for its skill, else the first for any. Tasks that no handler takes
   * are rejected. Returns what takes the handler out again.
   */
  onTask(handler: TaskHandler, options?: TaskHandlerOptions): () => void;
  onTask<Input>(
    handler: TaskHandler<Input>,
    options: TaskHandlerOptions | CheckedTaskHandlerOptions<Input> = {},
  ): () => void {
    const remove = this.#handlers.add(handler, options);
    const changed = () => {
      if (this.#state.kind === "running") this.#state.running.incoming?.roleChanged();
    };
    if (this.#state.kind === "running") this.#listen(this.#state.running);
    changed();
    return () => {
      remove();
      changed();
    };
  }

  /**
   * Puts `middleware` around every handler, inside of what was put there before: it sees each task first, runs the rest with
   * `next()` or ends the task itself. What it throws fails the task. The handler's time limit covers it too.
   */
  use(middleware: TaskMiddleware): void {
    this.#handlers.use(middleware);
  }

  /** Connects to a peer, by its id or by a multiaddr that ends with it. Throws `PeerNotFoundError`. */
  async connectPeer(
    peer: string,
    addresses: readonly string[] = [],
    options: CallOptions = {},
  ): Promise<PeerInfo> {
    const isAddress = peer.startsWith("/");
    const peerId = isAddress ? peer.split("/p2p/").at(-1) ?? "" : peer;
    const request = { peerId, addresses: isAddress ? [peer, ...addresses] : [...addresses] };
    try {
      const { peerInfo } = await this.#ask(
        (daemon, signal) => daemon.call(NodeService.method.connectPeer, request, { signal }),
        options,
      );
      if (peerInfo !== undefined) return fromWirePeer(peerInfo);
    } catch (error) {
      throw explainPeer(error);
    }
    return { peerId, addresses: [], connection: "unknown" };
  }

  /** The peers connected now. */
  async listPeers(options: CallOptions = {}): Promise<PeerInfo[]> {
    const { peers } = await this.#ask(
      (daemon, signal) => daemon.call(NodeService.method.listPeers, {}, { signal }),
      options,
    );
    return peers.map(fromWirePeer);
  }

  /** The card of a peer. Throws `CardNotAvailableError`. */
  async getCard(peerId: string, options: CallOptions = {}): Promise<AgentCard> {
    return (await this.#askCard({ peerId }, options)).card;
  }

  /**
   * The card of a peer and what is proven of it, which may take some seconds; `check` is missing when the daemon does not
   * check cards. Throws `CardNotAvailableError`.
   */
  async checkCard(
    peerId: string,
    options: CallOptions = {},
  ): Promise<{ card: AgentCard; check?: CardCheck }> {
    return await this.#askCard({ peerId, check: true }, options);
  }

  /**
   * Agents that offer a skill (an empty one for any), from all that the daemon can ask: relays, the DHT, connected peers and
   * neighbours. Throws `unavailable` when there is none and not everybody could be asked.
   */
  async discover(skill: string, options: DiscoverOptions & CallOptions = {}): Promise<DiscoveredAgent[]> {
    const { tags, prefix = "", text = "", limit = 0 } = options;
    const request = { skillId: skill, skillPrefix: prefix, text, limit, tags: { ...tags } };
    const { agents } = await this.#ask(
      (daemon, signal) => daemon.call(NodeService.method.discover, request, { signal }),
      options,
    );
    return agents.map(fromWireAgent);
  }

  /**
   * Asks the daemon to stop, whoever started it; it has not stopped yet when this resolves. This node does not start it again, as
   * others at the same home do.
   */
  async stopDaemon({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    this.#running().kept?.letGo?.();
    await this.#daemon().requestStop({ signal });
  }

  /** How much the daemon logs; with a level, from now on until it stops. */
  async logLevel(
    level?: "debug" | "info" | "warn" | "error",
    options: CallOptions = {},
  ): Promise<"debug" | "info" | "warn" | "error"> {
    return await this.#ask((daemon, signal) => daemon.setLogLevel(level, { signal }), options);
  }

  /** Makes the daemon read its configuration and its credentials again. Throws `invalid_argument`. */
  async reloadDaemon(options: CallOptions = {}): Promise<void> {
    await this.#ask((daemon, signal) => daemon.requestReload({ signal }), options);
  }

  /** What a daemon answers, also when it is started again meanwhile. */
  async #ask<T>(
    work: (daemon: DaemonClient, signal: AbortSignal) => Promise<T>,
    { signal, timeoutMs }: CallOptions,
  ): Promise<T> {
    const { reconnectMs } = this.#options;
    return await ask(this.#daemon(), work, { signal, timeoutMs, reconnectMs });
  }

  #handleOf(task: Task, target?: SendTaskRequest["target"]): TaskHandle {
    const { reconnectMs } = this.#options;
    return new DaemonTaskHandle(this.#daemon(), task, { reconnectMs, ...(target && { target }) });
  }

  #running(): Running {
    const state = this.#state;
    if (state.kind === "running") return state.running;
    if (state.kind === "stopping" && state.running?.lifetime.signal.aborted === false) return state.running;
    if (state.kind === "stopped" && state.failure !== undefined) throw state.failure;
    throw new AgentAnycastError(
      "failed_precondition",
      `The node is ${this.#state.kind}: await start() first`,
    );
  }

  async #askCard(
    request: { peerId: string; check?: boolean },
    options: CallOptions,
  ): Promise<{ card: AgentCard; check?: CardCheck }> {
    try {
      const { card, check } = await this.#ask(
        (daemon, signal) => daemon.call(NodeService.method.getPeerCard, request, { signal }),
        options,
      );
      if (card !== undefined) {
        return { card: fromWireCard(card), ...(check && { check: fromWireCheck(check) }) };
      }
    } catch (error) {
      throw explainCard(error);
    }
    throw new CardNotAvailableError(`${request.peerId} has no card`);
  }

  #daemon(): DaemonClient {
    return this.#running().daemon;
  }

  #beginStart(): NodeState & { kind: "starting" } {
    const abort = new AbortController();
    const { signal } = this.#options;
    const onAbort = () => void this.stop().catch((error) => this.#report("Cannot stop", error));
    signal?.addEventListener("abort", onAbort, { once: true });
    abort.signal.addEventListener("abort", () => signal?.removeEventListener("abort", onAbort), {
      once: true,
    });
    if (signal?.aborted) abort.abort(signal.reason);
    const started = this.#open(abort).then(
      (running) => {
        if (!abort.signal.aborted) this.#state = { kind: "running", running };
        return running;
      },
      (error) => {
        const cancelled = abort.signal.aborted;
        abort.abort();
        if (this.#state.kind === "starting") this.#state = { kind: "stopped" };
        throw cancelled
          ? new AgentAnycastError("cancelled", "The node was stopped", { cause: error })
          : error;
      },
    );
    return { kind: "starting", started, abort };
  }

  async #open(lifetime: AbortController): Promise<Running> {
    const running = await openNode(this.#options, {
      lifetime,
      card: () => this.#card,
      handlers: this.#handlers,
      onEvent: (event) => this.#events.tell(event),
      report: (message, error) => this.#report(message, error),
      onFailure: (error) => this.#fail(error),
    });
    if (this.#handlers.size > 0) this.#listen(running);
    return running;
  }

  /** There is no daemon any more: everything that waits ends with `error`. */
  #fail(error: AgentAnycastError): void {
    if (this.#state.kind !== "running") return;
    const { running } = this.#state;
    const stopped = this.#shutDown(running, { reason: error });
    stopped.catch((reason) => this.#report("Cannot stop", reason));
    this.#state = { kind: "stopping", stopped, running, hurry: new AbortController() };
  }

  #report(message: string, error: unknown): void {
    this.#options.onStatus({
      state: "error",
      message: `${message}: ${errorMessage(error)}`,
      error: toAgentAnycastError(error),
    });
  }

  #listen(running: Running): void {
    const { reconnectMs, exclusive, maxClaims } = this.#options;
    const role = () => ({
      agentId: running.attachment.agentId,
      ...this.#handlers.roleWith(this.#card?.skills.map(({ id }) => id) ?? []),
    });
    const report = (message: string, error: unknown) => this.#report(message, error);
    running.incoming ??= new IncomingTasks(
      { daemon: running.daemon, handlers: this.#handlers, role, report },
      { reconnectMs, exclusive, maxClaims, signal: running.lifetime.signal },
    );
  }

  async #cancelStart({ started, abort }: NodeState & { kind: "starting" }): Promise<void> {
    abort.abort(new AgentAnycastError("cancelled", "The node was stopped"));
    const running = await started.catch(() => undefined); // start() throws it
    if (running === undefined) this.#state = { kind: "stopped" };
    else await this.#shutDown(running);
  }

  async #shutDown(
    { lifetime, incoming, daemon, kept, attachment }: Running,
    { grace, reason }: { grace?: { graceMs: number; signal: AbortSignal }; reason?: AgentAnycastError } = {},
  ): Promise<void> {
    if (grace !== undefined) await incoming?.drain(grace);
    lifetime.abort(reason ?? new AgentAnycastError("cancelled", "The node was stopped"));
    const { others = 0, stoppingPid = 0 } = (reason === undefined ? await attachment.detach() : undefined) ??
      {};
    daemon.close(
      reason ?? new AgentAnycastError("failed_precondition", "The node was stopped: start it again"),
    );
    try {
      await incoming?.ended;
      await kept?.stop({ isShared: others > 0 });
      if (stoppingPid !== 0 && kept !== undefined) await untilGone(stoppingPid);
    } finally {
      this.#state = { kind: "stopped", ...(reason !== undefined && { failure: reason }) };
    }
    const { onStatus } = this.#options;
    if (reason === undefined) onStatus({ state: "stopped", message: "Stopped" });
    else onStatus({ state: "failed", message: reason.message, error: reason });
  }
}
