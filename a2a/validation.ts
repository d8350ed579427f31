import { CodedError } from "../core/errors.ts";
import type { Message } from "./model.ts";

const MAX_ID_LENGTH = 256;
const MAX_PARTS = 1000;

/** Messages kept of one task: the first, which is the request, and the newest. */
export const MAX_MESSAGES = 1000;

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

/** `messages` and `message`, without those in the middle that exceed {@link MAX_MESSAGES}. */
export function withMessage(messages: readonly Message[], message: Message | undefined): readonly Message[] {
  if (message === undefined) return messages;
  if (messages.length < MAX_MESSAGES) return [...messages, message];
  return [...messages.slice(0, 1), ...messages.slice(2), message];
}
