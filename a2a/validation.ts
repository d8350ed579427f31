import { CodedError } from "../core/errors.ts";
import type { Message } from "./model.ts";

const MAX_ID_LENGTH = 256;
const MAX_PARTS = 1000;
const MAX_TAGS = 32;
/** The first and last moment a timestamp of the wire can name. */
const MIN_TIME_MS = Date.parse("0001-01-01T00:00:00Z");
const MAX_TIME_MS = Date.parse("9999-12-31T23:59:59.999Z");

/** Messages kept of one task: the first, which is the request, and the newest. */
const MAX_MESSAGES = 1000;

/** Whether `id` is usable as one: short, and printable without spaces. */
export function isId(id: string): boolean {
  return id !== "" && id.length <= MAX_ID_LENGTH && !/[\s\p{Cc}]/u.test(id);
}

/** `id` when it is usable as one. @throws CodedError `invalid_argument`. */
export function checkId(what: string, id: string): string {
  if (isId(id)) return id;
  throw new CodedError(
    "invalid_argument",
    `A ${what} must be 1 to ${MAX_ID_LENGTH} printable characters without spaces`,
  );
}

/** Refuses a missing, empty or overgrown message. @throws CodedError `invalid_argument`. */
export function checkMessage(message: Message | undefined): void {
  if (message === undefined || message.parts.length === 0) {
    throw new CodedError("invalid_argument", "The message is empty: give it at least one part");
  }
  if (message.parts.length > MAX_PARTS) {
    throw new CodedError(
      "invalid_argument",
      `The message has ${message.parts.length} parts: ${MAX_PARTS} at most`,
    );
  }
}

/** Refuses what no skill can be found by. @throws CodedError `invalid_argument`. */
export function checkRoute(
  { skillId, tags }: { skillId: string; tags: Readonly<Record<string, string>> },
): void {
  if (skillId.trim() === "" || skillId.length > MAX_ID_LENGTH || /\p{Cc}/u.test(skillId)) {
    throw new CodedError(
      "invalid_argument",
      `A skill is named by 1 to ${MAX_ID_LENGTH} printable characters`,
    );
  }
  const pairs = Object.entries(tags);
  if (pairs.length <= MAX_TAGS && pairs.every((pair) => pair.join("=").length <= MAX_ID_LENGTH)) return;
  throw new CodedError(
    "invalid_argument",
    `A skill is looked for by ${MAX_TAGS} tags of ${MAX_ID_LENGTH} characters at most`,
  );
}

/** Refuses a deadline, in milliseconds since the Unix epoch, that no timestamp can name. @throws CodedError `invalid_argument`. */
export function checkDeadline(deadlineMs: number): void {
  if (deadlineMs >= MIN_TIME_MS && deadlineMs <= MAX_TIME_MS) return;
  throw new CodedError("invalid_argument", "The deadline is no time between the years 1 and 9999");
}

/** `messages` and `message`, without those in the middle that exceed {@link MAX_MESSAGES}. */
export function withMessage(messages: readonly Message[], message: Message | undefined): readonly Message[] {
  if (message === undefined) return messages;
  if (messages.length < MAX_MESSAGES) return [...messages, message];
  return [...messages.slice(0, 1), ...messages.slice(2), message];
}
