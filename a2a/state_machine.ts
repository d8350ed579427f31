import type { TaskStatus } from "./model.ts";

/** Where a task may go from each state. A terminal state leads nowhere. */
export const TRANSITIONS: Readonly<Record<TaskStatus, readonly TaskStatus[]>> = {
  submitted: ["working", "input_required", "auth_required", "completed", "failed", "canceled", "rejected"],
  working: ["working", "input_required", "auth_required", "completed", "failed", "canceled", "rejected"],
  input_required: ["working", "auth_required", "completed", "failed", "canceled", "rejected"],
  auth_required: ["working", "input_required", "completed", "failed", "canceled", "rejected"],
  completed: [],
  failed: [],
  canceled: [],
  rejected: [],
};

/** Whether a task in `status` has reached its end. */
export function isTerminal(status: TaskStatus): boolean {
  return TRANSITIONS[status].length === 0;
}

/** Whether a task in `status` waits for its sender. */
export function isInterrupted(status: TaskStatus): boolean {
  return status === "input_required" || status === "auth_required";
}

/** Whether a task may go from `from` to `to`. */
export function canTransition(from: TaskStatus, to: TaskStatus): boolean {
  return TRANSITIONS[from].includes(to);
}

/**
 * The states to report to the other side, in order, so that `from` → `to` is also legal for the stricter peers of the
 * existing network: they know `submitted` → `working` | `rejected` | `canceled`, `working` → any but `rejected` and
 * `working`, `input_required` → `working` | `canceled`. A rejection from a later state is followed by `failed`: they
 * drop the first and take the second, while peers with the full table take the first and ignore the late second.
 */
export function reportedSteps(from: TaskStatus, to: TaskStatus): readonly TaskStatus[] {
  const viaWorking = from === "working" || to === "working" || to === "canceled" ||
      (from === "submitted" && to === "rejected")
    ? []
    : ["working" as const];
  const fallback = to === "rejected" && from !== "submitted" ? ["failed" as const] : [];
  return [...viaWorking, to, ...fallback];
}
