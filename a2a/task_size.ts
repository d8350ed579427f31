import { CodedError } from "../core/errors.ts";
import type { Change } from "./changes.ts";
import type { Message, Part, Task, TaskRecord } from "./model.ts";

/** Most bytes of messages of a task to which the other side may still add one. */
const MAX_TASK_BYTES = 20 * 1024 * 1024;
/** A change writes the whole record: about how much one task's progress may make this node write. */
const MAX_WRITTEN_BYTES = 1024 * 1024 * 1024;

/** Messages do not change, and are measured once. */
const measured = new WeakMap<Message, number>();

/** About how many bytes the messages of a task take. */
export function sizeOf({ messages }: Pick<Task, "messages">): number {
  return messages.reduce((bytes, message) => bytes + sizeOfMessage(message), 0);
}

/** Refuses a change of the other side that makes the task larger than it may. @throws CodedError `resource_exhausted`. */
export function checkGrowth({ task }: TaskRecord, { message }: Change): void {
  if (message === undefined) return;
  const bytes = sizeOf(task) + sizeOfMessage(message);
  if (bytes <= MAX_TASK_BYTES) return;
  throw new CodedError("resource_exhausted", `${bytes} bytes of messages, ${MAX_TASK_BYTES} at most`);
}

/** Whether more progress of the task would have this node write out of proportion to what it is sent. */
export function isWornOut({ task, events }: TaskRecord): boolean {
  return events.length * sizeOf(task) > MAX_WRITTEN_BYTES;
}

function sizeOfMessage(message: Message): number {
  const known = measured.get(message);
  if (known !== undefined) return known;
  const { messageId, parts, metadata, extensions, referenceTaskIds } = message;
  const bytes = messageId.length + parts.reduce((sum, part) => sum + sizeOfPart(part), 0) +
    sizeOfJson(metadata) + sizeOfJson(extensions) + sizeOfJson(referenceTaskIds);
  measured.set(message, bytes);
  return bytes;
}

function sizeOfJson(value: unknown): number {
  if (value === undefined) return 0;
  return typeof value === "string" ? value.length : JSON.stringify(value).length;
}

function sizeOfPart({ content, mediaType, metadata, filename = "" }: Part): number {
  let bytes = 16 + mediaType.length + filename.length;
  for (const [key, value] of Object.entries(metadata)) bytes += key.length + sizeOfJson(value);
  switch (content.kind) {
    case "text":
      return bytes + content.text.length;
    case "data":
      return bytes + JSON.stringify(content.data).length;
    case "url":
      return bytes + content.url.length + content.filename.length;
    case "raw":
      return bytes + content.data.length + content.filename.length;
    case "none":
      return bytes;
    default:
      return content satisfies never;
  }
}
