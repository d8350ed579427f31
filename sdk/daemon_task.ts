import { startTimer } from "../core/clock.ts";
import type { SubscribeIncomingTasksResponse } from "../gen/agentanycast/v1/node_service_pb.ts";
import { fromWireTask, textOf, toArtifacts, toMessage } from "./convert.ts";
import { fromWireCard } from "./convert_node.ts";
import { type DaemonClient, persist } from "./daemon_client.ts";
import { AgentAnycastError, toAgentAnycastError } from "./errors.ts";
import type { AskOptions, IncomingTask } from "./incoming_task.ts";
import {
  type AgentCard,
  type Artifact,
  isInterrupted,
  isTerminal,
  type Message,
  type MessageInput,
  type Task,
  type TaskStatus,
} from "./model.ts";
import { Question } from "./question.ts";
import { type ArtifactInput, sendArtifact, type SentArtifact } from "./send_artifact.ts";
import { inputOf } from "./task_input.ts";
import { watchTask } from "./task_watch.ts";

/** A handler that is done within this time does not say first that it works: that would double the work for a short task. */
const QUIET_MS = 10;
/** What came longer ago may have changed: it is asked for before the handler begins. */
const FRESH_MS = 100;

/** Why nothing watches a task any more that its handler has ended; without a reason an error is made each time. */
const SETTLED = "settled";

/** How a received task is connected to its daemon. */
export interface DaemonTaskOptions {
  /** Fires when the node stops. */
  readonly lifetime: AbortSignal;
  /** How long the daemon may be gone while something is reported. */
  readonly reconnectMs: number;
  /** Told when the handler begins to wait for an answer. */
  readonly onAsk?: () => void;
}

/** {@link IncomingTask} on a daemon's connection. */
export class DaemonTask implements IncomingTask {
  readonly senderCard: AgentCard | undefined;
  readonly #daemon: DaemonClient;
  readonly #options: DaemonTaskOptions;
  readonly #controller = new AbortController();
  readonly #settled = new AbortController();
  readonly #receivedAtMs: number;
  /** Runs until the handler has said something, or is told to say that it works. */
  #quiet: Disposable | undefined;
  #hasSpoken = false;
  #task: Task;
  #claimId: string;
  #input: { readonly value: unknown } | undefined;
  #question: Question | undefined;
  #watching = false;

  constructor(
    daemon: DaemonClient,
    { task, senderCard, claimId }: SubscribeIncomingTasksResponse,
    options: DaemonTaskOptions,
  ) {
    this.#daemon = daemon;
    this.#receivedAtMs = daemon.clock.now();
    this.#options = options;
    this.#task = fromWireTask(task);
    this.#claimId = claimId;
    this.senderCard = senderCard === undefined ? undefined : fromWireCard(senderCard);
  }

  /** The claim under which this node has it; empty for none. */
  get claimId(): string {
    return this.#claimId;
  }

  /** Which of the sender's messages it is about, counted from 1. */
  get turn(): number {
    return turnOf(this.#task);
  }

  get taskId(): string {
    return this.#task.taskId;
  }

  get contextId(): string {
    return this.#task.contextId;
  }

  get peerId(): string {
    return this.#task.peerId ?? this.#task.originatorPeerId ?? "";
  }

  get messages(): readonly Message[] {
    return this.#task.messages;
  }

  get text(): string {
    return textOf(this.#task.messages);
  }

  get input(): unknown {
    this.#input ??= { value: inputOf(this.#task.messages) };
    return this.#input.value;
  }

  /** Sets the input to what its schema makes of it. */
  set input(value: unknown) {
    this.#input = { value };
  }

  get targetSkillId(): string | undefined {
    return this.#task.targetSkillId;
  }

  get metadata(): Readonly<Record<string, string>> {
    return this.#task.metadata;
  }

  get deadline(): Date | undefined {
    return this.#task.deadline;
  }

  get traceParent(): string | undefined {
    return this.#task.traceParent;
  }

  get traceState(): string | undefined {
    return this.#task.traceState;
  }

  get signal(): AbortSignal {
    if (!this.#watching) {
      this.#watching = true;
      void this.#watch();
    }
    return this.#controller.signal;
  }

  async updateStatus(status: TaskStatus, message?: MessageInput): Promise<void> {
    await this.#report(status, message);
    if (isTerminal(status) || isInterrupted(status)) this.#settled.abort(SETTLED);
  }

  async complete(result: string | Artifact | readonly Artifact[] = []): Promise<void> {
    const artifacts = toArtifacts(result);
    await this.#change("completed", (claim) => this.#daemon.complete(this.taskId, artifacts, claim));
    this.#settled.abort(SETTLED);
  }

  async fail(error: string | Error): Promise<void> {
    const text = (typeof error === "string" ? error : error.message) || "The agent gave no reason";
    await this.#change("failed", (claim) => this.#daemon.fail(this.taskId, text, claim));
    this.#settled.abort(SETTLED);
  }

  async requestInput(question: MessageInput): Promise<void> {
    await this.updateStatus("input_required", question);
  }

  async ask(question: MessageInput, options: AskOptions = {}): Promise<Message> {
    if (this.#question !== undefined) {
      throw new AgentAnycastError("failed_precondition", "Cannot ask: another question waits for its answer");
    }
    const { lifetime } = this.#options;
    const asked = new Question(this.#daemon, this.#task, {
      ...options,
      handler: AbortSignal.any([lifetime, this.#controller.signal]),
    });
    this.#question = asked;
    try {
      await this.#report("input_required", question);
      this.#options.onAsk?.();
      this.#task = await asked.answered();
      if (!await this.#sayWorking()) throw this.#ended("over, or another worker has it");
    } catch (error) {
      if (error instanceof AgentAnycastError && asked.endedAs !== undefined) throw this.#ended(asked.endedAs);
      throw error;
    } finally {
      this.#question = undefined;
      asked.close();
    }
    return asked.answerIn(this.#task);
  }

  async sendArtifact(artifact: ArtifactInput): Promise<SentArtifact> {
    const signals = [
      this.#options.lifetime,
      this.#controller.signal,
      ...artifact.signal ? [artifact.signal] : [],
    ];
    return await sendArtifact(this.#daemon, artifact, {
      taskId: this.taskId,
      signal: AbortSignal.any(signals),
      reconnectMs: this.#options.reconnectMs,
    });
  }

  async reject(reason?: string): Promise<void> {
    await this.updateStatus("rejected", reason);
  }

  /**
   * Lets the work begin, and says so unless the handler soon says more than that. False when the task is over already, or
   * somebody else has claimed it; of a task that has just come that is told later, by its signal.
   */
  async begin(): Promise<boolean> {
    const isFresh = this.#daemon.clock.now() - this.#receivedAtMs < FRESH_MS;
    if (!isFresh || this.#task.status !== "submitted") return await this.#sayWorking();
    this.#quiet = startTimer(this.#daemon.clock, QUIET_MS, () => {
      this.#sayWorking().then((isOurs) => {
        if (!isOurs && !this.settled) this.#ended("over, or another worker has it");
      }).catch((error) => this.abort(error));
    });
    return true;
  }

  /** The handler is through: one that has said nothing leaves the task for later, as one that it works on. */
  async end(): Promise<void> {
    this.#quiet?.[Symbol.dispose]();
    if (!this.#hasSpoken && !this.settled && !this.#controller.signal.aborted) await this.#sayWorking();
  }

  async #sayWorking(): Promise<boolean> {
    try {
      await this.#report("working");
      return true;
    } catch (error) {
      if (toAgentAnycastError(error).code !== "failed_precondition") throw error;
      if (this.#claimId !== "") return false;
    }
    return !isTerminal((await this.#daemon.getTask(this.taskId)).status);
  }

  /** Takes what the daemon offers of the task while the handler is at it: a new claim, or the answer to a question. */
  offer({ task, claimId }: SubscribeIncomingTasksResponse): void {
    if (claimId !== "") this.#claimId = claimId;
    this.#question?.offer(fromWireTask(task));
  }

  /** Tells the handler to stop. */
  abort(reason: unknown): void {
    this.#quiet?.[Symbol.dispose]();
    this.#controller.abort(reason);
  }

  /** Whether the handler waits for an answer. */
  get isAsking(): boolean {
    return this.#question !== undefined;
  }

  /** Whether the handler has ended the task, or handed it back with a question. */
  get settled(): boolean {
    return this.#settled.signal.aborted;
  }

  async #report(status: TaskStatus, input?: MessageInput): Promise<void> {
    const message = input === undefined
      ? undefined
      : { messageId: crypto.randomUUID(), ...toMessage(input, "agent") };
    await this.#change(
      status,
      (claim) => this.#daemon.updateStatus(this.taskId, { status, message }, claim),
    );
  }

  /** Makes a change that leads to `status`, also over a restart of the daemon: it may have been made before the answer was lost. */
  async #change(status: TaskStatus, work: (claim: { claimId: string }) => Promise<void>): Promise<void> {
    const { reconnectMs, lifetime } = this.#options;
    this.#quiet?.[Symbol.dispose]();
    this.#hasSpoken = true;
    await persist(async (repeated) => {
      try {
        await work({ claimId: this.#claimId });
      } catch (error) {
        const { code } = toAgentAnycastError(error);
        if (!repeated || code !== "failed_precondition") throw error;
        if ((await this.#daemon.getTask(this.taskId)).status !== status) throw error;
      }
    }, { reconnectMs, signal: lifetime });
  }

  #ended(how: string): AgentAnycastError {
    const error = new AgentAnycastError("cancelled", `Task ${this.taskId} is ${how}`);
    this.abort(error);
    return error;
  }

  /** Ends the watching when the task is cancelled from outside, settled here, or the node stops. */
  async #watch(): Promise<void> {
    const signal = AbortSignal.any([this.#options.lifetime, this.#settled.signal]);
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

/** How many messages of its sender a task has: each but the first is the answer to a question. */
export function turnOf({ messages }: Task): number {
  return messages.filter(({ role }) => role === "user").length;
}
