import assert from "node:assert/strict";
import {
  canTransition,
  isTerminal,
  reportedSteps,
  TASK_STATUSES,
  type TaskStatus,
  TRANSITIONS,
} from "../../a2a/mod.ts";

/** What a peer of the existing network accepts. */
const STRICT: Record<TaskStatus, TaskStatus[]> = {
  submitted: ["working", "rejected", "canceled"],
  working: ["completed", "failed", "canceled", "input_required"],
  input_required: ["working", "canceled"],
  completed: [],
  failed: [],
  canceled: [],
  rejected: [],
  auth_required: ["working", "canceled"],
};

/** Waiting for an authorization is told to them as waiting for input. */
function toStrict(status: TaskStatus): TaskStatus {
  return status === "auth_required" ? "input_required" : status;
}

Deno.test("canTransition() never leaves a terminal state and never goes back to submitted", () => {
  for (const from of TASK_STATUSES) {
    assert.equal(canTransition(from, "submitted"), false);
    for (const to of TASK_STATUSES) if (isTerminal(from)) assert.equal(canTransition(from, to), false);
  }
});

Deno.test("isTerminal() holds for the four ends alone", () => {
  assert.deepEqual(TASK_STATUSES.filter(isTerminal), ["completed", "failed", "canceled", "rejected"]);
});

Deno.test("reportedSteps() brings a strict peer to a terminal state or the very state for every transition", () => {
  for (const from of TASK_STATUSES) {
    for (const to of TRANSITIONS[from]) {
      if (from === to) continue;
      let strict = toStrict(from);
      for (const step of reportedSteps(from, to).map(toStrict)) {
        if (STRICT[strict].includes(step)) strict = step;
      }
      const expected = to === "rejected" && from !== "submitted" ? "failed" : toStrict(to);
      assert.equal(strict, expected, `${from} -> ${to}`);
    }
  }
});

Deno.test("reportedSteps() brings a peer with the full table to the very state for every transition", () => {
  for (const from of TASK_STATUSES) {
    for (const to of TRANSITIONS[from]) {
      let full = from;
      for (const step of reportedSteps(from, to)) if (canTransition(full, step)) full = step;
      assert.equal(full, to, `${from} -> ${to}`);
    }
  }
});
