import { CodedError } from "../core/errors.ts";
import type { Artifact, EnvelopeBody, Message, Task, TaskStatus } from "./model.ts";
import type { Framing } from "./ports.ts";
import { reportedSteps } from "./state_machine.ts";
import { checkId, checkMessage } from "./validation.ts";

/** What one step changes of a task. */
export interface Change {
  readonly status: TaskStatus;
  readonly message?: Message | undefined;
  readonly artifacts?: readonly Artifact[];
  readonly errorMessage?: string;
}

/** The body of an envelope that brings a task. */
export type SendTaskBody = EnvelopeBody & { type: "send_task" };

/** The body of an envelope that changes a task. */
export type ChangeBody = Extract<EnvelopeBody, { type: "status_update" | "complete" | "fail" | "cancel" }>;

/** The change that an envelope of the other side makes. */
export function changeOf(body: ChangeBody): Change {
  switch (body.type) {
    case "status_update":
      return { status: body.status, message: body.message, errorMessage: reasonOf(body) };
    case "complete":
      return { status: "completed", artifacts: body.artifacts, message: body.message };
    case "fail":
      return { status: "failed", errorMessage: body.errorMessage, message: body.message };
    case "cancel":
      return { status: body.status, errorMessage: body.reason };
    default:
      return body satisfies never;
  }
}

/** The envelopes that report a change of a received task to its sender, who may only know the order of states of 1.0. */
export function reportOf(task: Task, change: Change, framing: Framing | undefined): EnvelopeBody[] {
  if (framing === "none") return [];
  const { taskId } = task;
  const { message, artifacts = [], errorMessage = "" } = change;
  const steps = framing === "2.0" ? [change.status] : reportedSteps(task.status, change.status);
  const fallback = change.status === "rejected" ? "rejected by the agent" : "";
  return steps.map((status): EnvelopeBody => {
    switch (status) {
      case "completed":
        return { type: "complete", taskId, artifacts, message };
      case "failed":
        return { type: "fail", taskId, errorMessage: errorMessage || fallback, message };
      default:
        return {
          type: "status_update",
          taskId,
          // A peer of 1.0 knows one way of waiting for its sender.
          status: framing !== "2.0" && status === "auth_required" ? "input_required" : status,
          message: status === change.status ? message : undefined,
        };
    }
  });
}

/** Why a task has failed, was rejected or called off: what the change says, else the text of its message. */
export function reasonOf({ status, message, errorMessage }: Change): string {
  if (status !== "failed" && status !== "rejected" && status !== "canceled") return "";
  const texts = (message?.parts ?? []).flatMap(({ content }) => content.kind === "text" ? content.text : []);
  return errorMessage || texts.join("\n");
}

/** Why a new task of another node is refused, or undefined. */
export function refusalOf(body: SendTaskBody): string | undefined {
  return problemOf(() => {
    if (body.contextId !== "") checkId("context id", body.contextId);
    checkMessage(body.message);
  });
}

/** What a check finds wrong, or undefined. */
export function problemOf(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (error instanceof CodedError) return error.message;
    throw error;
  }
}
