import { isTerminal, type Task, type TaskStatus } from "../../a2a/mod.ts";
import { FaultClock } from "./fault_clock.ts";
import { LIFE_RESULT, lifeMessage, type LifeScript, type LifeStep, type Side } from "./fault_life.ts";

const hasEnded = (task: Task | undefined) => task !== undefined && isTerminal(task.status);
const hasSaid = (text: string) => (task: Task | undefined) =>
  task?.messages.some(({ messageId }) => messageId === text) === true;
const isAt = (...statuses: TaskStatus[]) => (task: Task | undefined) =>
  task !== undefined && statuses.includes(task.status);

const send = (deadlineInMs?: number): LifeStep => ({
  at: "sender",
  isReady: (task) => task === undefined,
  act: (engine, taskId) =>
    engine.sendTask({
      peerId: "receiver",
      taskId,
      message: lifeMessage("please", "user"),
      ...(deadlineInMs !== undefined && { deadlineMs: new FaultClock().now() + deadlineInMs }),
    }),
  isDone: (task) => task !== undefined,
});
const report = (status: TaskStatus, text: string, from: readonly TaskStatus[]): LifeStep => ({
  at: "receiver",
  isReady: isAt(...from),
  act: (engine, taskId) => engine.updateTask(taskId, { status, message: lifeMessage(text, "agent") }),
  isDone: (task) => hasSaid(text)(task) || hasEnded(task),
});
const working = report("working", "on it", ["submitted"]);
const half = report("working", "half", ["working"]);
const ask = report("input_required", "which?", ["working"]);
const answer: LifeStep = {
  at: "sender",
  isReady: isAt("input_required"),
  act: (engine, taskId) =>
    engine.sendTask({ peerId: "receiver", taskId, message: lifeMessage("that", "user") }),
  isDone: hasSaid("that"),
};
const complete = (when: (task: Task | undefined) => boolean): LifeStep => ({
  at: "receiver",
  isReady: when,
  act: (engine, taskId) => engine.completeTask(taskId, { artifacts: [LIFE_RESULT] }),
  isDone: hasEnded,
});
const fail: LifeStep = {
  at: "receiver",
  isReady: isAt("working"),
  act: (engine, taskId) => engine.failTask(taskId, "no paper"),
  isDone: hasEnded,
};
const cancel = (at: Side): LifeStep => ({
  at,
  isReady: (task) => task !== undefined && !isTerminal(task.status),
  act: (engine, taskId) => engine.cancelTask(taskId),
  isDone: (task) => task?.cancelRequested === true || hasEnded(task),
});

/** A life for each way in which a task can go. */
export const LIFE_SCRIPTS: readonly LifeScript[] = [
  {
    name: "send, work, complete",
    steps: [send(), working, half, complete(hasSaid("half"))],
    ends: ["completed"],
    said: ["user: please", "agent: on it", "agent: half"],
  },
  {
    name: "ask for input, be answered, complete",
    steps: [send(), working, ask, answer, complete(hasSaid("that"))],
    ends: ["completed"],
    said: ["user: please", "agent: on it", "agent: which?", "user: that"],
  },
  { name: "fail", steps: [send(), working, fail], ends: ["failed"], said: ["user: please", "agent: on it"] },
  {
    name: "reject",
    steps: [send(), report("rejected", "not mine", ["submitted"])],
    ends: ["rejected"],
    said: ["user: please", "agent: not mine"],
  },
  {
    name: "cancel by the sender",
    steps: [send(), working, cancel("sender")],
    ends: ["canceled"],
    said: ["user: please", "agent: on it"],
  },
  {
    name: "cancel by the receiver",
    steps: [send(), working, cancel("receiver")],
    ends: ["canceled"],
    said: ["user: please", "agent: on it"],
  },
  {
    name: "cancel by the sender while the receiver completes",
    steps: [send(), working, cancel("sender"), complete(isAt("working"))],
    ends: ["canceled", "completed"],
    said: ["user: please", "agent: on it"],
  },
  {
    name: "expire undelivered",
    steps: [send()],
    ends: ["failed"],
    said: ["user: please"],
    waitMs: 200_000,
    isUndelivered: true,
  },
  {
    name: "run over the deadline",
    steps: [send(600_000), working],
    ends: ["failed"],
    said: ["user: please", "agent: on it"],
    waitMs: 700_000,
    hasDeadline: true,
  },
];
