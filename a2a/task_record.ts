import type { Change } from "./changes.ts";
import type { Message, Task, TaskEvent, TaskRecord, TaskRoute } from "./model.ts";
import { isInterrupted, isTerminal } from "./state_machine.ts";
import { withMessage } from "./validation.ts";

/** Changes kept of one task; a subscriber that asks for older ones is told so. */
export const MAX_EVENTS = 1000;
/** Why a task fails that was not done in time. */
export const DEADLINE_REASON = "The deadline of the task is over";
/** Envelopes remembered of one task: more than can be under way for it at once. */
const MAX_ENVELOPE_IDS = 32;

/** What a step changes of a record beyond the task itself. */
export interface RecordChange {
  readonly awaitsAgent?: boolean;
  readonly claimId?: string;
  readonly sendSequence?: number;
  readonly cancelRequested?: boolean;
  /** The peer that gets a task which names a skill; empty: none has it. */
  readonly peerId?: string;
  readonly route?: TaskRoute;
  /** The envelope that brought the change; empty for none. */
  readonly envelopeId?: string;
}

/** A task as it begins. */
export function newRecord(
  task: Omit<Task, "generation" | "updatedAtMs" | "cancelRequested">,
  kept: Pick<TaskRecord, "awaitsAgent" | "sendSequence" | "envelopeIds" | "route">,
): TaskRecord {
  const { status, createdAtMs: atMs } = task;
  return {
    task: { ...task, generation: 1, updatedAtMs: atMs, cancelRequested: false },
    events: [{ generation: 1, status, atMs, messageId: "" }],
    claimId: "",
    ...kept,
  };
}

/** The record after a change that subscribers are told of. */
export function changedRecord(
  record: TaskRecord,
  change: Change,
  options: RecordChange & { nowMs: number },
): TaskRecord {
  const { task } = record;
  const { status, message, artifacts, errorMessage = "" } = change;
  const generation = task.generation + 1;
  const event: TaskEvent = {
    generation,
    status,
    atMs: options.nowMs,
    messageId: message?.messageId ?? "",
  };
  const ended = isTerminal(status);
  const changed = amendedRecord(record, ended ? { ...options, awaitsAgent: false, claimId: "" } : options);
  const { statusMessageId: _earlier, ...unchanged } = changed.task;
  return {
    ...changed,
    task: {
      ...unchanged,
      ...(message !== undefined && { statusMessageId: message.messageId }),
      status,
      messages: withMessage(task.messages, message),
      artifacts: artifacts ?? task.artifacts,
      errorMessage,
      updatedAtMs: options.nowMs,
      generation,
      cancelRequested: ended ? false : unchanged.cancelRequested,
    },
    events: [...record.events.slice(-(MAX_EVENTS - 1)), event],
  };
}

/** The record after a change that is this node's own affair. */
export function amendedRecord(record: TaskRecord, change: RecordChange): TaskRecord {
  const { awaitsAgent, claimId, sendSequence, cancelRequested, peerId, envelopeId = "" } = change;
  const { task, route } = record;
  const isSame = cancelRequested === undefined && peerId === undefined;
  return {
    task: isSame ? task : {
      ...task,
      cancelRequested: cancelRequested ?? task.cancelRequested,
      peerId: peerId ?? task.peerId,
    },
    events: record.events,
    envelopeIds: envelopeId === ""
      ? record.envelopeIds
      : [...record.envelopeIds.slice(-(MAX_ENVELOPE_IDS - 1)), envelopeId],
    awaitsAgent: awaitsAgent ?? record.awaitsAgent,
    claimId: claimId ?? record.claimId,
    sendSequence: sendSequence ?? record.sendSequence,
    route: change.route ?? route,
  };
}

/** A message with an id of its own, so that it can be told from others. */
export function withMessageId(message: Message | undefined): Message | undefined {
  if (message === undefined || message.messageId !== "") return message;
  return { ...message, messageId: crypto.randomUUID() };
}

/** Whether the change was made before: what it says came with the same state. */
export function isRepetition({ events }: TaskRecord, { status, message }: Change): boolean {
  if (message === undefined || message.messageId === "") return false;
  return events.some((event) => event.messageId === message.messageId && event.status === status);
}

/** Whether the originator may say something: the agent has asked, and got no answer since, even if it went on meanwhile. */
export function awaitsAnswer({ task, events }: TaskRecord): boolean {
  const saidByUser = new Set(
    task.messages.filter(({ role }) => role === "user").map(({ messageId }) => messageId),
  );
  const last = events.findLast(({ status, messageId }) => isInterrupted(status) || saidByUser.has(messageId));
  return last !== undefined && isInterrupted(last.status) && !saidByUser.has(last.messageId);
}

/** Whether a sent task names a skill and its agent has not been heard of yet. */
export function isUnclaimed({ task, route }: TaskRecord): boolean {
  return route !== undefined && task.status === "submitted" && !task.cancelRequested;
}

/** Whether a task that names a skill may go to another agent when its own rejects it: that one has done and said nothing yet. */
export function isUntouched({ task, route }: TaskRecord): boolean {
  const isSilent = task.status === "submitted" || (task.status === "working" && task.messages.length === 1);
  return route !== undefined && isSilent && !task.cancelRequested;
}

/** Whether the task already has the message. */
export function hasMessage(task: Task, messageId: string): boolean {
  return messageId !== "" && task.messages.some((message) => message.messageId === messageId);
}
