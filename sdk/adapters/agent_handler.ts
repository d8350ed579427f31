import { TaskStreamError } from "../errors.ts";
import type { IncomingTask } from "../incoming_task.ts";
import type { Part } from "../model.ts";
import type { TaskHandler } from "../task_handlers.ts";
import { type AgentRun, type AgentSays, toAgentTurn } from "./agent_run.ts";
import { TextPieces } from "./text_pieces.ts";

/** Name and id of the artifact with the answer. */
const OUTPUT = "output";

/**
 * A handler that gives tasks to an agent. What the agent writes piece by piece is streamed as the artifact `output`, which in
 * the end is its answer; a question hands the task back to its sender; what it throws fails the task.
 */
export function toTaskHandler(run: AgentRun): TaskHandler {
  return async (task) => {
    await task.updateStatus("working");
    const answer = new Answer(task);
    try {
      for await (const says of run(toAgentTurn(task))) {
        task.signal.throwIfAborted();
        await answer.take(says);
      }
    } finally {
      await answer.close();
    }
    await answer.give();
  };
}

/** What an agent has said of one task. */
class Answer {
  readonly #task: IncomingTask;
  #written = "";
  #part: Part | undefined;
  #question: string | undefined;
  #stream: { readonly pieces: TextPieces; readonly sent: Promise<void> } | undefined;

  constructor(task: IncomingTask) {
    this.#task = task;
  }

  async take(says: AgentSays): Promise<void> {
    if ("delta" in says) {
      if (says.delta === "") return;
      this.#written += says.delta;
      this.#stream ??= this.#openStream();
      await this.#stream.pieces.write(says.delta);
    } else if ("status" in says) await this.#task.updateStatus("working", says.status);
    else if ("question" in says) this.#question = says.question;
    else this.#part = says;
  }

  /** Ends the stream, when there is one. */
  async close(): Promise<void> {
    this.#stream?.pieces.end();
    await this.#stream?.sent;
  }

  async give(): Promise<void> {
    if (this.#question !== undefined) return await this.#task.requestInput(this.#question);
    const parts = [this.#part ?? { text: this.#written }];
    await this.#task.complete({ artifactId: OUTPUT, name: OUTPUT, parts });
  }

  #openStream() {
    const pieces = new TextPieces();
    const data = pieces.bytes();
    const artifact = { artifactId: OUTPUT, name: OUTPUT, mediaType: "text/plain", data };
    const sent = this.#task.sendArtifact(artifact).then(() => {}, (error) => {
      pieces.end();
      // The sender's node takes no streams, or none now: it gets the whole answer with the end.
      if (!(error instanceof TaskStreamError)) throw error;
    });
    sent.catch(() => {
      // Whoever closes the answer is told.
    });
    return { pieces, sent };
  }
}
