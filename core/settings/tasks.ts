import { count, duration } from "../setting.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** `[tasks]`: how long they are kept and waited for. */
export const TASKS_SETTINGS = {
  keepMs: duration(30 * DAY_MS, "how long ended tasks are kept, such as 30d"),
  keepCount: count(100_000, "of more tasks than this the oldest ended ones are removed"),
  agentTimeoutMs: duration(DAY_MS, "a received task fails when no agent is there for it for this time"),
  idleTimeoutMs: duration(
    7 * DAY_MS,
    "a task fails when the other side does not say anything for this time",
  ),
  claimLeaseMs: duration(30_000, "how long a worker's claim on a task lasts without renewal"),
};
