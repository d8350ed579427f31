import { CodedError } from "../core/errors.ts";

/** A limit in time and the user's wish to end, as one signal. Disposing it ends the timer. */
export interface Deadline extends Disposable {
  /** Fires at whichever comes first. */
  readonly signal: AbortSignal;
  /** Throws `deadline_exceeded` with `message` when the time is over, else does nothing. */
  throwIfExpired(message: string): void;
}

/** Starts a deadline of `timeoutMs` that also follows `signal`. */
export function startDeadline(timeoutMs: number, signal: AbortSignal): Deadline {
  const expired = new AbortController();
  const tooLate = new CodedError("deadline_exceeded", `Not done within ${timeoutMs / 1000} s`);
  const timer = setTimeout(() => expired.abort(tooLate), timeoutMs);
  return {
    signal: AbortSignal.any([signal, expired.signal]),
    throwIfExpired: (message) => {
      if (expired.signal.aborted) throw new CodedError("deadline_exceeded", message);
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
