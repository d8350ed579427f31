import type { IncomingTask } from "../incoming_task.ts";
import type { JsonObject, Part } from "../model.ts";

/** What an adapted agent is asked: the last thing the sender of a task has said. */
export interface AgentTurn {
  /** Its text parts, one per line; of a turn without text, its data as JSON. */
  readonly text: string;
  /** Its last data part. */
  readonly data: JsonObject | undefined;
  /** All of its parts. */
  readonly parts: readonly Part[];
  /** The conversation it belongs to: the context of the task. */
  readonly sessionId: string;
  /** Fires when nobody wants the answer any more. */
  readonly signal: AbortSignal;
  /** The task itself. */
  readonly task: IncomingTask;
}

/** Something an adapted agent says. */
export type AgentSays =
  /** A piece of the text it is writing. */
  | { readonly delta: string }
  /** How it goes. */
  | { readonly status: string }
  /** Its answer as text. */
  | { readonly text: string }
  /** Its answer as data. */
  | { readonly data: JsonObject }
  /** A question to the sender; the run ends with it, and the answer is the next turn. */
  | { readonly question: string };

/**
 * An agent of some framework, as a task is given to it. It ends after its answer or its question; without an answer, what it
 * wrote in pieces is one. What it throws fails the task.
 */
export type AgentRun = (turn: AgentTurn) => AsyncIterable<AgentSays>;

/** The turn of a task: its last message. */
export function toAgentTurn(task: IncomingTask): AgentTurn {
  const parts = task.messages.findLast(({ role }) => role === "user")?.parts ?? [];
  const data = parts.findLast((part) => part.data !== undefined)?.data;
  const text = parts.flatMap((part) => part.text ?? []).join("\n");
  return {
    text: text === "" && data !== undefined ? JSON.stringify(data) : text,
    ...{ data, parts, task, sessionId: task.contextId, signal: task.signal },
  };
}

/** Whether a value is an object with members. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A result of a framework: text as it is, an object as data, anything else as its JSON. */
export function toAnswer(value: unknown): AgentSays {
  if (typeof value === "string") return { text: value };
  if (isObject(value)) return { data: JSON.parse(JSON.stringify(value)) };
  return { text: value === undefined || value === null ? "" : JSON.stringify(value) };
}
