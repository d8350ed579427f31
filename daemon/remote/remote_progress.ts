import type { Artifact, EnvelopeBody, Message, Part, TaskStatus } from "../../a2a/mod.ts";
import type { RemoteEvent, RemoteTask } from "./remote_agent.ts";

/** Most bytes of results that are put together from a stream; of more the agent is asked for the whole at the end. */
const MAX_GATHERED_BYTES = 16 * 1024 * 1024;
/** Messages that are remembered as told already, of one task. */
const MAX_TOLD = 1_000;

/** A task that is shown so many times as it was before an answer does ask again. */
const MAX_STALE_VIEWS = 5;

/** Where a task at an agent stands: it goes on, it waits for this side, it waits for something else, it is over. */
export type RemoteState = "going" | "asks" | "waits" | "over";

const STATES: Readonly<Record<TaskStatus, RemoteState>> = {
  submitted: "going",
  working: "going",
  input_required: "asks",
  auth_required: "waits",
  completed: "over",
  failed: "over",
  canceled: "over",
  rejected: "over",
};

/** Turns what an agent says about a task into the reports that an engine takes from the other side of a task. */
export class RemoteProgress {
  readonly #taskId: string;
  readonly #artifacts = new Map<string, Artifact & { readonly parts: Part[] }>();
  readonly #told = new Set<string>();
  #bytes = 0;
  #status: TaskStatus = "submitted";
  #isWhole = true;
  #end: { status: TaskStatus; message: Message | undefined } | undefined;
  readonly #answered: ReadonlySet<string> | undefined;
  #staleViews = MAX_STALE_VIEWS;

  /** @param options.answered ids of what was said before the message that the agent has just been sent. */
  constructor(taskId: string, options: { answered?: ReadonlySet<string> | undefined } = {}) {
    this.#taskId = taskId;
    this.#answered = options.answered;
    if (options.answered !== undefined) this.interrupted(); // There may be results of earlier turns.
  }

  get state(): RemoteState {
    return STATES[this.#status];
  }

  /** Whether the task is completed, but not all of its results are here. */
  get lacksResults(): boolean {
    return this.#end !== undefined && !this.#isWhole;
  }

  /** Something may have been missed: what was gathered is not taken for the whole any more. */
  interrupted(): void {
    this.#isWhole = false;
  }

  /** The reports that `event` makes. */
  take(event: RemoteEvent): EnvelopeBody[] {
    switch (event.kind) {
      case "task":
        return this.#takeTask(event.task);
      case "status":
        return this.#takeStatus(event.status, event.message);
      case "artifact":
        this.#gather(event.artifact, event.append);
        return [];
      case "message":
        return this.#takeStatus("completed", event.message);
      default:
        return event satisfies never;
    }
  }

  /** The end of a completed task whose other results cannot be had. */
  takeAsItIs(): EnvelopeBody[] {
    if (this.#end === undefined) return [];
    this.#isWhole = true;
    return this.#takeStatus("completed", this.#end.message);
  }

  #takeTask({ status: shown, message, history, artifacts }: RemoteTask): EnvelopeBody[] {
    const status = this.#isStale(shown, message) ? "working" : shown;
    this.#artifacts.clear();
    this.#bytes = 0;
    this.#isWhole = true;
    for (const artifact of artifacts) this.#keep(artifact);
    const said = history.filter(({ role, messageId }) =>
      role === "agent" && messageId !== message?.messageId
    );
    return [
      ...said.flatMap((one) => this.#isNew(one) ? [this.#update("working", one)] : []),
      ...this.#takeStatus(status, status === shown ? message : undefined),
    ];
  }

  /** Whether the agent still shows the question that it has been answered. */
  #isStale(status: TaskStatus, message: Message | undefined): boolean {
    if (this.#answered === undefined || status !== "input_required" || this.#staleViews === 0) return false;
    if (message !== undefined && !this.#answered.has(message.messageId)) return false;
    this.#staleViews--;
    return true;
  }

  #takeStatus(status: TaskStatus, message: Message | undefined): EnvelopeBody[] {
    const isRepeated = status === this.#status;
    this.#status = status;
    if (status === "completed") return this.#complete(message);
    const news = message !== undefined && this.#isNew(message) ? message : undefined;
    switch (status) {
      case "submitted":
        return news === undefined ? [] : [this.#update("working", news)];
      case "auth_required":
      case "working":
      case "input_required":
        return isRepeated && news === undefined ? [] : [this.#update(status, message)];
      case "failed":
        return [{ type: "fail", taskId: this.#taskId, errorMessage: textOf(message) || FAILED, message }];
      case "canceled":
      case "rejected":
        return [this.#update(status, message)];
      default:
        return status satisfies never;
    }
  }

  #complete(message: Message | undefined): EnvelopeBody[] {
    this.#end = { status: "completed", message: message ?? this.#end?.message };
    if (!this.#isWhole) return [];
    return [{
      type: "complete",
      taskId: this.#taskId,
      artifacts: [...this.#artifacts.values()],
      message: this.#end.message,
    }];
  }

  #update(status: TaskStatus, message: Message | undefined): EnvelopeBody {
    return { type: "status_update", taskId: this.#taskId, status, message };
  }

  #isNew({ messageId }: Message): boolean {
    if (this.#told.has(messageId)) return false;
    this.#told.add(messageId);
    const [oldest] = this.#told;
    if (this.#told.size > MAX_TOLD && oldest !== undefined) this.#told.delete(oldest);
    return true;
  }

  #gather(artifact: Artifact, append: boolean): void {
    const before = append ? this.#artifacts.get(artifact.artifactId) : undefined;
    if (append && before === undefined) this.#isWhole = false; // Its beginning was missed.
    const size = sizeOf(artifact);
    if (this.#bytes + size > MAX_GATHERED_BYTES) {
      this.#isWhole = false;
      return;
    }
    if (before === undefined) return this.#keep(artifact, size);
    before.parts.push(...artifact.parts);
    this.#bytes += size;
  }

  #keep(artifact: Artifact, size = sizeOf(artifact)): void {
    this.#bytes += size;
    const key = artifact.artifactId || `unnamed ${this.#artifacts.size}`;
    this.#artifacts.set(key, { ...artifact, parts: [...artifact.parts] });
  }
}

const FAILED = "The agent reports that the task has failed and gives no reason";

function textOf(message: Message | undefined): string {
  return (message?.parts ?? []).flatMap(({ content }) => content.kind === "text" ? content.text : []).join(
    "\n",
  );
}

function sizeOf({ parts }: Artifact): number {
  return parts.reduce((sum, { content }) => {
    switch (content.kind) {
      case "text":
        return sum + content.text.length;
      case "raw":
        return sum + content.data.length;
      case "data":
        return sum + JSON.stringify(content.data).length;
      default:
        return sum + 64;
    }
  }, 0);
}
