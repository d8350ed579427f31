import {
  type Answer,
  type Engine,
  type EnvelopeBody,
  type EnvelopeTransport,
  isTerminal,
} from "../../a2a/mod.ts";
import { systemClock } from "../../core/clock.ts";
import { CodedError, toCodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { NodeMeter } from "../../core/node_metrics.ts";
import { decodeEnvelope } from "../convert/envelope.ts";
import type { RemoteTaskRecord, RemoteTasks } from "../store/remote_tasks.ts";
import type { RemoteAgent, RemoteEvent, RemoteTask, RemoteTurn } from "./remote_agent.ts";
import { isAgentUrl, type RemoteAgents } from "./remote_agents.ts";
import { RemoteFollower, type RemoteFollowerOptions } from "./remote_follower.ts";
import { RemoteProgress } from "./remote_progress.ts";

export interface UrlTransportDeps {
  /** Asked for when it is needed: the engine is made with this way to the agents. */
  readonly engine: () => Pick<Engine, "receive" | "getTask">;
  readonly records: RemoteTasks;
  readonly agents: RemoteAgents;
  readonly logger: Logger;
  readonly meter: Pick<NodeMeter, "count">;
}

export interface UrlTransportOptions extends RemoteFollowerOptions {
  /** How long what is under way may go on when the transport is closed, in milliseconds. Default 2,000. */
  readonly closeGraceMs?: number;
}

/** Messages that may be under way to an agent at once. */
const WINDOW = 32;
/** Messages of a task that are remembered as taken. */
const MAX_MESSAGE_IDS = 32;

type SendTask = EnvelopeBody & { type: "send_task" };

/**
 * The engine's way to agents behind URLs: what it sends becomes calls of A2A or ANP, and what they say about a task is
 * reported to the engine as if another engine had sent it. A message is never sent twice unless the agent promises to take
 * it once: when nobody can tell whether it arrived, its task fails and says so.
 */
export class UrlTransport implements EnvelopeTransport, AsyncDisposable {
  readonly peerId = "";
  readonly #deps: UrlTransportDeps;
  readonly #closeGraceMs: number;
  readonly #follower: RemoteFollower;
  readonly #stop = new AbortController();
  readonly #sending = new Set<Promise<Answer>>();
  #isClosing = false;

  constructor(deps: UrlTransportDeps, options: UrlTransportOptions = {}) {
    this.#deps = deps;
    this.#closeGraceMs = options.closeGraceMs ?? 2_000;
    this.#follower = new RemoteFollower(deps, options);
  }

  /** Goes on with the tasks of an earlier run. The engine has started. */
  async start(): Promise<void> {
    await this.#follower.resume();
  }

  isConnected(url: string): boolean {
    return this.#deps.agents.known(url) !== undefined;
  }

  framingOf(): "2.0" {
    return "2.0";
  }

  windowOf(): number {
    return WINDOW;
  }

  async connect(url: string, { signal }: { signal: AbortSignal }): Promise<void> {
    await this.#deps.agents.lookUp(url, { signal: AbortSignal.any([signal, this.#stop.signal]) });
  }

  send(url: string, envelope: { envelopeId: string; bytes: Uint8Array }): Promise<Answer> {
    if (this.#isClosing) return Promise.reject(new CodedError("cancelled", "The daemon is stopping"));
    const sending = this.#send(url, envelope.bytes).finally(() => this.#sending.delete(sending));
    this.#sending.add(sending);
    return sending;
  }

  /** What is under way gets a moment for its answer: without it nobody would know whether the agent has it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    const over = new AbortController();
    const grace = systemClock.sleep(this.#closeGraceMs, over.signal).catch(
      () => {/* all were answered before */},
    );
    await Promise.race([Promise.allSettled(this.#sending), grace]);
    over.abort();
    this.#stop.abort(new CodedError("cancelled", "The daemon is stopping"));
    await this.#follower[Symbol.asyncDispose]();
    await Promise.allSettled(this.#sending);
    await this.#deps.agents.close();
  }

  async #send(url: string, bytes: Uint8Array): Promise<Answer> {
    const decoded = decodeEnvelope(bytes);
    if (decoded?.kind !== "envelope" || !isAgentUrl(url)) {
      return { outcome: "refused", reason: "it is no envelope" };
    }
    const { body, trace } = decoded.envelope;
    const lookup = await this.#deps.agents.lookUp(url, { signal: this.#stop.signal });
    if (lookup.kind === "unusable") return await this.#judgeUnusable(url, body, lookup.error);
    const { agent } = lookup;
    switch (body.type) {
      case "send_task":
        return await this.#sendTurn(url, agent, { body, trace });
      case "cancel":
        return await this.#cancel(url, agent, body.taskId);
      case "get_task":
        return await this.#ask(url, agent, body.taskId);
      default:
        return { outcome: "refused", reason: "an agent behind a URL takes no reports" };
    }
  }

  /** A task that is there goes on meanwhile; only a new one has nowhere to go. */
  async #judgeUnusable(url: string, { type, taskId }: EnvelopeBody, error: CodedError): Promise<Answer> {
    const record = await this.#deps.records.get(taskId);
    if (type === "send_task" && record === undefined) return { outcome: "refused", reason: error.message };
    this.#deps.agents.forget(url);
    throw new CodedError("unavailable", error.message, { cause: error });
  }

  async #sendTurn(
    url: string,
    agent: RemoteAgent,
    { body, trace }: { body: SendTask; trace: RemoteTurn["trace"] },
  ): Promise<Answer> {
    const { records } = this.#deps;
    const { taskId, message } = body;
    if (message === undefined || await this.#follower.settle(taskId)) return { outcome: "taken" };
    const record = await records.get(taskId) ??
      { url, remoteTaskId: "", contextId: body.contextId, messageIds: [], sendingMessageId: "" };
    const turn = {
      ...body,
      message,
      trace,
      remoteTaskId: record.remoteTaskId,
      contextId: record.contextId || body.contextId,
    };
    if (record.messageIds.includes(message.messageId)) {
      if (!this.#follower.isFollowed(taskId)) this.#follower.follow(taskId, record);
      return { outcome: "taken" };
    }
    if (record.sendingMessageId === message.messageId && !agent.isIdempotent) {
      const lost = new CodedError(
        "unavailable",
        "the connection broke or this node was stopped before the agent answered",
      );
      return await this.#settleDoubt(agent, { record, turn, cause: lost });
    }
    await records.put(taskId, { ...record, sendingMessageId: message.messageId });
    return await this.#deliver(agent, record, turn);
  }

  async #deliver(agent: RemoteAgent, record: RemoteTaskRecord, turn: RemoteTurn): Promise<Answer> {
    const { url } = record;
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#stop.signal]);
    const mayStream = this.#follower.hasRoomForStream(url);
    const events = this.#follower.counted(url, agent.send(turn, { signal, mayStream }), mayStream);
    let first: IteratorResult<RemoteEvent>;
    try {
      first = await events.next();
    } catch (error) {
      signal.throwIfAborted();
      const coded = toCodedError(error);
      this.#count(agent, "error");
      return await this.#judge(agent, { record, turn, error: coded });
    }
    this.#count(agent, "ok");
    if (first.done) throw new CodedError("internal", `${agent.description} answered nothing`);
    const answered = record.remoteTaskId === "" ? undefined : await this.#said(turn.taskId);
    const progress = new RemoteProgress(turn.taskId, { answered });
    const bodies = progress.take(first.value);
    const known = first.value.kind === "message" ? undefined : await this.#keep(record, turn, first.value);
    await this.#follower.report(url, bodies, { signal: this.#stop.signal });
    if (known === undefined) {
      await events.return(undefined);
      await this.#follower.settle(turn.taskId);
    } else {
      this.#follower.follow(turn.taskId, known, { events, progress, stop });
    }
    return { outcome: "taken" };
  }

  #count({ protocol }: RemoteAgent, status: "ok" | "error"): void {
    const labels = { direction: "outbound", status };
    this.#deps.meter.count(protocol === "anp" ? "anp_requests_total" : "bridge_requests_total", labels);
  }

  /** The ids of all that was said so far. */
  async #said(taskId: string): Promise<ReadonlySet<string>> {
    const { messages } = await this.#deps.engine().getTask(taskId);
    return new Set(messages.map(({ messageId }) => messageId));
  }

  /** The agent has the message. */
  async #keep(
    record: RemoteTaskRecord,
    { taskId, message }: RemoteTurn,
    event: Exclude<RemoteEvent, { kind: "message" }>,
  ): Promise<RemoteTaskRecord> {
    const { remoteTaskId, contextId } = event.kind === "task" ? event.task : event;
    const known = {
      ...record,
      remoteTaskId: remoteTaskId || record.remoteTaskId,
      contextId: contextId || record.contextId,
      messageIds: [...record.messageIds, message.messageId].slice(-MAX_MESSAGE_IDS),
      sendingMessageId: "",
    };
    await this.#deps.records.put(taskId, known);
    return known;
  }

  /** What becomes of a message whose sending has failed. */
  async #judge(
    agent: RemoteAgent,
    { record, turn, error }: { record: RemoteTaskRecord; turn: RemoteTurn; error: CodedError },
  ): Promise<Answer> {
    const { agents, logger } = this.#deps;
    const { url } = record;
    logger.debug("A message was not taken by an agent", { url, task: turn.taskId, code: error.code, error });
    switch (error.code) {
      case "resource_exhausted":
        await this.#unsent(record, turn);
        return { outcome: "busy", reason: error.message };
      case "unavailable":
      case "deadline_exceeded":
      case "data_loss":
        agents.forget(url);
        if (error.details.sent !== "no") {
          return await this.#settleDoubt(agent, { record, turn, cause: error });
        }
        await this.#unsent(record, turn);
        throw error;
      default:
        return await this.#refused(record, turn, error);
    }
  }

  /** The agent has not got the message. */
  async #unsent(record: RemoteTaskRecord, { taskId }: RemoteTurn): Promise<void> {
    if (record.remoteTaskId === "") await this.#deps.records.remove(taskId);
    else await this.#deps.records.put(taskId, { ...record, sendingMessageId: "" });
  }

  /** The agent does not take the message. A new task ends by that; one that is there waits for a better message. */
  async #refused(record: RemoteTaskRecord, turn: RemoteTurn, { code, message }: CodedError): Promise<Answer> {
    const { taskId } = turn;
    const { url } = record;
    await this.#unsent(record, turn);
    const { signal } = this.#stop;
    if (record.remoteTaskId === "" && code !== "internal") return { outcome: "refused", reason: message };
    const isOver = record.remoteTaskId === "" || code === "not_found";
    await this.#follower.report(url, [
      isOver
        ? { type: "fail", taskId, errorMessage: message, message: undefined }
        : { type: "status_update", taskId, status: "input_required", message: toMessage(message) },
    ], { signal });
    await this.#follower.settle(taskId);
    return { outcome: "taken" };
  }

  /** Nobody knows whether the agent has the message: it is looked for, and not sent again unless that is harmless. */
  async #settleDoubt(
    agent: RemoteAgent,
    { record, turn, cause }: { record: RemoteTaskRecord; turn: RemoteTurn; cause: CodedError },
  ): Promise<Answer> {
    const { url } = record;
    const { taskId, contextId, message: { messageId } } = turn;
    if (agent.isIdempotent) throw new CodedError("unavailable", cause.message, { cause });
    const { signal } = this.#stop;
    let found: RemoteTask | undefined;
    try {
      found = record.remoteTaskId === ""
        ? await agent.find({ contextId, messageId }, { signal })
        : await this.#taken(agent, record, messageId);
    } catch (error) {
      const { code } = toCodedError(error);
      if (code === "unavailable" || code === "deadline_exceeded" || code === "resource_exhausted") {
        throw error;
      }
    }
    signal.throwIfAborted();
    if (found !== undefined) {
      this.#follower.follow(taskId, await this.#keep(record, turn, { kind: "task", task: found }));
      return { outcome: "taken" };
    }
    const errorMessage =
      `Nobody knows whether the agent has got the message: ${cause.message}. It is not sent again, ` +
      "since it could be done twice then: ask the agent, or send a new task";
    await this.#follower.report(url, [{ type: "fail", taskId, errorMessage, message: undefined }], {
      signal,
    });
    await this.#follower.settle(taskId);
    return { outcome: "taken" };
  }

  /** A task that is there, if it shows the message. */
  async #taken(
    agent: RemoteAgent,
    { remoteTaskId }: RemoteTaskRecord,
    messageId: string,
  ): Promise<RemoteTask | undefined> {
    const task = await agent.get(remoteTaskId, { signal: this.#stop.signal });
    return task.history.some((one) => one.messageId === messageId) ? task : undefined;
  }

  async #cancel(url: string, agent: RemoteAgent, taskId: string): Promise<Answer> {
    const record = await this.#deps.records.get(taskId);
    if (record === undefined || record.remoteTaskId === "") {
      return { outcome: "refused", reason: "the agent has told no task that could be called off" };
    }
    const { signal } = this.#stop;
    let task: RemoteTask;
    try {
      task = await agent.cancel(record.remoteTaskId, { signal });
    } catch (error) {
      const coded = toCodedError(error);
      if (coded.code === "not_found") return { outcome: "refused", reason: coded.message };
      if (coded.code !== "failed_precondition" && coded.code !== "unimplemented") throw coded;
      // Whoever works on a task decides how it ends: it goes on.
      if (!this.#follower.isFollowed(taskId)) this.#follower.follow(taskId, record);
      return { outcome: "taken" };
    }
    await this.#follower.report(url, new RemoteProgress(taskId).take({ kind: "task", task }), { signal });
    const isOver = await this.#follower.settle(taskId);
    if (!isOver && !this.#follower.isFollowed(taskId)) this.#follower.follow(taskId, record);
    return { outcome: "taken" };
  }

  async #ask(url: string, agent: RemoteAgent, taskId: string): Promise<Answer> {
    const record = await this.#deps.records.get(taskId);
    if (record === undefined || record.remoteTaskId === "") {
      throw new CodedError("unavailable", `${agent.description} has not told the task yet`);
    }
    const { signal } = this.#stop;
    const task = await agent.get(record.remoteTaskId, { signal });
    const { status } = task;
    const messages = [...task.history, ...task.message === undefined ? [] : [task.message]];
    const errorMessage = isTerminal(status) && status !== "completed" ? textOf(task.message) : "";
    await this.#follower.report(url, [{
      type: "get_task_response",
      taskId,
      task: { status, messages, artifacts: task.artifacts, errorMessage },
    }], { signal });
    return { outcome: "taken" };
  }
}

function toMessage(text: string): RemoteTurn["message"] {
  return {
    messageId: crypto.randomUUID(),
    role: "agent",
    parts: [{ content: { kind: "text", text }, mediaType: "text/plain", metadata: {} }],
    createdAtMs: Date.now(),
  };
}

function textOf(message: RemoteTurn["message"] | undefined): string {
  return (message?.parts ?? []).flatMap(({ content }) => content.kind === "text" ? content.text : []).join(
    "\n",
  );
}
