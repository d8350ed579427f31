import type { TaskStatus } from "../../a2a/model.ts";
import { isTerminal } from "../../a2a/state_machine.ts";

/** A line of the sender's journal: `sending` before the first try, `sent` once the task was accepted, then what it saw. */
export type SenderEntry =
  | {
    readonly phase: "sending" | "sent";
    readonly taskId: string;
    readonly text: string;
    readonly atMs: number;
  }
  | { readonly phase: "seen"; readonly taskId: string; readonly status: TaskStatus; readonly atMs: number };

/** A line of the agent's journal: one run of its handler begins or ends. */
export interface HandlerEntry {
  readonly phase: "start" | "end";
  readonly taskId: string;
  /** Tells the runs of a task apart. */
  readonly runId: string;
  readonly pid: number;
  readonly atMs: number;
  /** With `end`: how the answer was taken, for people. */
  readonly outcome?: string;
}

/** Something that was done to the system on purpose. */
export interface Fault {
  readonly kind: string;
  readonly target: string;
  /** The process that was killed or stopped. */
  readonly pid?: number;
  readonly atMs: number;
  readonly untilMs?: number;
}

/** A task as one side has it in the end. */
export interface TaskView {
  readonly taskId: string;
  readonly status: TaskStatus;
  /** Texts of the messages, oldest first, each with its role. */
  readonly messages: readonly string[];
  /** Texts of the artifacts. */
  readonly artifacts: readonly string[];
  readonly error: string;
}

/** All that is known about one run: what was asked for, what happened and what is left of it. */
export interface FaultHistory {
  readonly sender: readonly SenderEntry[];
  readonly handlers: readonly HandlerEntry[];
  readonly faults: readonly Fault[];
  /** Tasks that the sending node has sent, and those that the receiving node has received. */
  readonly atSender: readonly TaskView[];
  readonly atReceiver: readonly TaskView[];
}

/** What a task's text asks of the agent. */
export const TASK_KINDS = ["echo", "progress", "fail", "reject", "cancel"] as const;

export type TaskKind = (typeof TASK_KINDS)[number];

/** The text of the `index`-th task. */
export function taskText(index: number, kind: TaskKind): string {
  return `${kind} ${index}`;
}

/** What `text` asks for. */
export function kindOf(text: string): TaskKind {
  const word = text.split(" ")[0];
  const kind = TASK_KINDS.find((one) => one === word);
  if (kind === undefined) throw new TypeError(`No task of the fault tests says ${text}`);
  return kind;
}

/** The one right answer to `text`: a function of it that nobody gives by accident. */
export function answerTo(text: string): string {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return `answer to ${text}: ${hash.toString(16)}`;
}

/** Why the agent does not do what `text` asks. */
export function refusalTo(text: string): string {
  return `no: ${answerTo(text)}`;
}

/** What the agent says while it works on `text`. */
export function progressOn(text: string): readonly string[] {
  return [`begun ${text}`, `half of ${text}`];
}

/** What is wrong with the end of a task that said `text`, or undefined when it is a right one. */
export function wrongEnd(text: string, { status, artifacts, error }: TaskView): string | undefined {
  if (!isTerminal(status)) return `is ${status}`;
  const kind = kindOf(text);
  if (kind === "cancel" && status === "canceled") return undefined;
  const expected = kind === "fail" ? "failed" : kind === "reject" ? "rejected" : "completed";
  if (status !== expected) return `is ${status} (${error}) instead of ${expected}`;
  if (status === "completed") {
    return artifacts.length === 1 && artifacts[0] === answerTo(text)
      ? undefined
      : `has the wrong result ${JSON.stringify(artifacts)}`;
  }
  return error === refusalTo(text) ? undefined : `has the wrong reason ${JSON.stringify(error)}`;
}
