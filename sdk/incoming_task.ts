import type { SubscribeIncomingTasksResponse } from "../gen/agentanycast/v1/node_service_pb.ts";
import { fromWireTask, textOf, toArtifacts, toMessage } from "./convert.ts";
import { fromWireCard } from "./convert_node.ts";
import type { DaemonClient } from "./daemon_client.ts";
import {
  type AgentCard,
  type Artifact,
  isTerminal,
  type Message,
  type MessageInput,
  type Task,
  type TaskStatus,
} from "./model.ts";
import { watchTask } from "./task_watch.ts";

/** A task that another agent has sent to this node. */
export interface IncomingTask {
  /** Its id, the same on both sides. */
  readonly taskId: string;
  /** The conversation it belongs to. */
  readonly contextId: string;
  /** Who sent it. */
  readonly peerId: string;
  /** What was said so far, oldest first. */
  readonly messages: readonly Message[];
  /** All text parts of the messages, one per line. */
  readonly text: string;
  /** The skill the sender means. */
  readonly targetSkillId: string | undefined;
  /** The sender's card, when this node has it. */
  readonly senderCard: AgentCard | undefined;
  /** What the sender has given along. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Fires when the task is cancelled, the handler's time is up or the node stops. Watching begins with the first use. */
  readonly signal: AbortSignal;
  /** Tells the sender how it goes. */
  updateStatus(status: TaskStatus, message?: MessageInput): Promise<void>;
  /** Ends the task with its result; a text becomes one artifact. */
  complete(result?: string | Artifact | readonly Artifact[]): Promise<void>;
  /** Ends the task as failed; the sender gets the message. */
  fail(error: string | Error): Promise<void>;
  /** Asks the sender: its `wait()` ends with the question. This version has no way to answer it on the same task. */
  requestInput(question: MessageInput): Promise<void>;
  /** Does not take the task. */
  reject(reason?: string): Promise<void>;
}

/** {@link IncomingTask} on a daemon's connection. */
export class DaemonTask implements IncomingTask {
  readonly task: Task;
  readonly senderCard: AgentCard | undefined;
  readonly #daemon: DaemonClient;
  readonly #lifetime: AbortSignal;
  readonly #controller = new AbortController();
  readonly #settled = new AbortController();
  #watching = false;

  /** @param options.lifetime ends the watching when it fires. */
  constructor(
    daemon: DaemonClient,
    { task, senderCard }: SubscribeIncomingTasksResponse,
    options: { lifetime: AbortSignal },
  ) {
    this.#daemon = daemon;
    this.#lifetime = options.lifetime;
    this.task = fromWireTask(task);
    this.senderCard = senderCard === undefined ? undefined : fromWireCard(senderCard);
  }

  get taskId(): string {
    return this.task.taskId;
  }

  get contextId(): string {
    return this.task.contextId;
  }

  get peerId(): string {
    return this.task.peerId ?? this.task.originatorPeerId ?? "";
  }

  get messages(): readonly Message[] {
    return this.task.messages;
  }

  get text(): string {
    return textOf(this.task.messages);
  }

  get targetSkillId(): string | undefined {
    return this.task.targetSkillId;
  }

  get metadata(): Readonly<Record<string, string>> {
    return this.task.metadata;
  }

  get signal(): AbortSignal {
    if (!this.#watching) {
      this.#watching = true;
      void this.#watch();
    }
    return this.#controller.signal;
  }

  async updateStatus(status: TaskStatus, message?: MessageInput): Promise<void> {
    await this.#daemon.updateStatus(
      this.taskId,
      status,
      message === undefined ? undefined : toMessage(message, "agent"),
    );
    if (isTerminal(status) || status === "input_required") this.#settled.abort();
  }

  async complete(result: string | Artifact | readonly Artifact[] = []): Promise<void> {
    await this.#daemon.complete(this.taskId, toArtifacts(result));
    this.#settled.abort();
  }

  async fail(error: string | Error): Promise<void> {
    const text = typeof error === "string" ? error : error.message;
    await this.#daemon.fail(this.taskId, text || "The agent gave no reason");
    this.#settled.abort();
  }

  async requestInput(question: MessageInput): Promise<void> {
    await this.updateStatus("input_required", question);
  }

  async reject(reason?: string): Promise<void> {
    await this.updateStatus("rejected", reason);
  }

  /** Tells the handler to stop. */
  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }

  /** Whether the handler has ended the task, or handed it back with a question. */
  get settled(): boolean {
    return this.#settled.signal.aborted;
  }

  /** Ends the watching when the task is cancelled from outside, settled here, or the node stops. */
  async #watch(): Promise<void> {
    const signal = AbortSignal.any([this.#lifetime, this.#settled.signal]);
    try {
      for await (const update of watchTask(this.#daemon, this.taskId, { signal, reconnectMs: Infinity })) {
        if (isTerminal(update.status) && !this.settled) {
          this.abort(new DOMException(`Task ${this.taskId} is ${update.status}`, "AbortError"));
        }
      }
    } catch (error) {
      if (!this.settled) this.abort(error); // the node stops, or its daemon does not know the task any more
    }
  }
}
