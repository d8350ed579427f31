import { TaskStreamError } from "../../../sdk/mod.ts";
import type { Artifact, ArtifactInput, IncomingTask, Message, MessageInput } from "../../../sdk/mod.ts";

/** A task that keeps what its handler does with it. */
export class FakeTask {
  readonly log: string[] = [];
  readonly streamed: string[] = [];
  readonly stop = new AbortController();
  completed: readonly Artifact[] = [];

  constructor(
    readonly messages: readonly Message[],
    readonly options: { streams?: boolean; contextId?: string } = {},
  ) {}

  get task(): IncomingTask {
    const { log, stop } = this;
    const fake: Partial<IncomingTask> = {
      taskId: "t1",
      contextId: this.options.contextId ?? "c1",
      peerId: "peer",
      messages: this.messages,
      metadata: {},
      targetSkillId: undefined,
      signal: stop.signal,
      updateStatus: (status, message?: MessageInput) => {
        log.push(`${status}${message === undefined ? "" : ` ${message}`}`);
        return Promise.resolve();
      },
      complete: (result) => {
        log.push("complete");
        this.completed = [result as Artifact];
        return Promise.resolve();
      },
      requestInput: (question) => {
        log.push(`question ${question}`);
        return Promise.resolve();
      },
      sendArtifact: async ({ data }: ArtifactInput) => {
        if (this.options.streams === false) throw new TaskStreamError("unimplemented", "no streams");
        for await (const bytes of data as AsyncIterable<Uint8Array>) {
          this.streamed.push(new TextDecoder().decode(bytes));
        }
        log.push("streamed");
        return { artifactId: "output", totalBytes: 0, sha256: "" };
      },
    };
    return fake as IncomingTask;
  }
}

/** What a user says. */
export function said(text: string): Message {
  return { role: "user", parts: [{ text }] };
}
