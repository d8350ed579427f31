import assert from "node:assert/strict";
import { checkHistory, type FaultVerdict, isSound } from "../support/fault_checker.ts";
import {
  answerTo,
  type FaultHistory,
  type HandlerEntry,
  progressOn,
  refusalTo,
  type TaskView,
} from "../support/fault_history.ts";
import { FaultJournal, readFaultJournal } from "../support/fault_journal.ts";
import { createFaultRandom } from "../support/fault_random.ts";
import { tempDir } from "../support/temp_dir.ts";

const text = "progress 1";
const done: TaskView = {
  taskId: "t1",
  status: "completed",
  messages: [`user: ${text}`, ...progressOn(text).map((said) => `agent: ${said}`)],
  artifacts: [answerTo(text)],
  error: "",
};
const run = (runId: string, more: Partial<HandlerEntry> = {}): HandlerEntry => ({
  phase: "start",
  taskId: "t1",
  runId,
  pid: 7,
  atMs: 20,
  ...more,
});

/** A flawless run of one task. */
const good: FaultHistory = {
  sender: [
    { phase: "sending", taskId: "t1", text, atMs: 1 },
    { phase: "sent", taskId: "t1", text, atMs: 2 },
    { phase: "seen", taskId: "t1", status: "working", atMs: 3 },
    { phase: "seen", taskId: "t1", status: "completed", atMs: 4 },
  ],
  handlers: [run("r1"), run("r1", { phase: "end", atMs: 30 })],
  faults: [],
  atSender: [done],
  atReceiver: [done],
};

/** The counts of `history` that are not 0, besides the number of tasks. */
function faultsOf(history: Partial<FaultHistory>): Partial<FaultVerdict> {
  const { tasks, findings, ...counts } = checkHistory({ ...good, ...history });
  assert.equal(tasks, 1);
  const { reruns: _, ...wrong } = counts;
  const sum = Object.values(wrong).reduce((total, count) => total + count, 0);
  assert.equal(isSound({ tasks, findings, ...counts }), sum === 0);
  assert.equal(findings.length > 0, sum > 0);
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}

Deno.test("checkHistory() finds nothing wrong with a run without faults", () => {
  assert.deepEqual(faultsOf({}), {});
});

Deno.test("checkHistory() finds tasks that are lost", () => {
  assert.deepEqual(faultsOf({ atReceiver: [] }), { lost: 1, divergent: 1 });
  assert.deepEqual(faultsOf({ atSender: [] }), { lost: 1, divergent: 1 });
  assert.deepEqual(faultsOf({ atSender: [], atReceiver: [] }), { lost: 1 });
  const working: TaskView = { ...done, status: "working", artifacts: [] };
  const unseen = good.sender.slice(0, 2);
  assert.deepEqual(faultsOf({ sender: unseen, atSender: [working], atReceiver: [working] }), { lost: 1 });
});

Deno.test("checkHistory() finds results, reasons and words that are not the agent's", () => {
  const both = (view: Partial<TaskView>, sender = good.sender.slice(0, 2)) =>
    faultsOf({ sender, atSender: [{ ...done, ...view }], atReceiver: [{ ...done, ...view }] });
  assert.deepEqual(both({ artifacts: [answerTo("progress 2")] }), { lost: 1 });
  assert.deepEqual(both({ artifacts: [...done.artifacts, ...done.artifacts] }), { lost: 1 });
  assert.deepEqual(both({ artifacts: [] }), { lost: 1 });
  assert.deepEqual(both({ status: "failed", artifacts: [], error: "?" }), { lost: 1 });
  assert.deepEqual(both({ messages: [] }), { lost: 1 });
  assert.deepEqual(both({ messages: [...done.messages, "agent: half of echo 9"] }), { lost: 1 });
  const failing = (kind: string) =>
    good.sender.slice(0, 2).map((entry) => ({ ...entry, text: `${kind} 1` })) as typeof good.sender[number][];
  const failed = (kind: string, error: string): Partial<TaskView> => ({
    status: kind === "fail" ? "failed" : "rejected",
    messages: [`user: ${kind} 1`],
    artifacts: [],
    error,
  });
  for (const kind of ["fail", "reject"]) {
    assert.deepEqual(both(failed(kind, refusalTo(`${kind} 1`)), failing(kind)), {});
    assert.deepEqual(both(failed(kind, ""), failing(kind)), { lost: 1 });
  }
});

Deno.test("checkHistory() takes either end of a task that was to be canceled, and no third", () => {
  const sender = good.sender.slice(0, 2).map((entry) => ({
    ...entry,
    text: "cancel 1",
  })) as typeof good.sender[number][];
  const end = (view: Partial<TaskView>) => {
    const task = { ...done, messages: ["user: cancel 1"], ...view };
    return faultsOf({ sender, atSender: [task], atReceiver: [task] });
  };
  assert.deepEqual(end({ status: "canceled", artifacts: [] }), {});
  assert.deepEqual(end({ artifacts: [answerTo("cancel 1")] }), {});
  assert.deepEqual(end({ status: "failed", artifacts: [], error: "?" }), { lost: 1 });
  const unsent: TaskView = { ...done, messages: ["user: cancel 1"], artifacts: [], status: "canceled" };
  const alone = { sender, atSender: [unsent], atReceiver: [], handlers: [] };
  assert.deepEqual(faultsOf(alone), {});
  assert.deepEqual(faultsOf({ ...alone, handlers: good.handlers }), { lost: 1, divergent: 1 });
  assert.deepEqual(faultsOf({ ...alone, atSender: [], atReceiver: [unsent] }), { lost: 1, divergent: 1 });
  assert.deepEqual(faultsOf({ ...alone, sender: good.sender.slice(0, 2) }), { lost: 1, divergent: 1 });
});

Deno.test("checkHistory() finds tasks that were invented", () => {
  const forged = { ...done, taskId: "t2" };
  assert.deepEqual(faultsOf({ atReceiver: [done, forged] }), { divergent: 1, invented: 1 });
  assert.deepEqual(faultsOf({ atSender: [done, forged], atReceiver: [done, forged] }), { invented: 1 });
  assert.deepEqual(faultsOf({ handlers: [run("r9", { taskId: "t9" })] }), { invented: 1 });
});

Deno.test("checkHistory() lets a task be whose sender never learned that it was accepted, if both sides agree", () => {
  const sender = [...good.sender, { phase: "sending", taskId: "t2", text: "echo 2", atMs: 5 } as const];
  assert.deepEqual(faultsOf({ sender }), {});
  const task = { ...done, taskId: "t2" };
  assert.deepEqual(faultsOf({ sender, atSender: [done, task], atReceiver: [done, task] }), {});
  assert.deepEqual(faultsOf({ sender, atReceiver: [done, task] }), { divergent: 1 });
});

Deno.test("checkHistory() finds each way in which the two sides differ", () => {
  const views: Partial<TaskView>[] = [
    { messages: done.messages.slice(0, 2) },
    { messages: [...done.messages, done.messages[1]!] },
    { messages: done.messages.with(1, done.messages[2]!).with(2, done.messages[1]!) },
  ];
  for (const view of views) {
    assert.deepEqual(faultsOf({ atSender: [{ ...done, ...view }] }), { divergent: 1 });
  }
  assert.deepEqual(faultsOf({ atReceiver: [{ ...done, error: "no" }] }), { divergent: 1 });
  assert.deepEqual(faultsOf({ atReceiver: [{ ...done, status: "canceled" }] }), { lost: 1, divergent: 1 });
});

Deno.test("checkHistory() finds a second end, be it told or stored, and changes after the end", () => {
  const seen = (status: TaskView["status"]) => ({ phase: "seen", taskId: "t1", status, atMs: 9 } as const);
  assert.deepEqual(faultsOf({ sender: [...good.sender, seen("completed")] }), {});
  assert.deepEqual(faultsOf({ sender: [...good.sender, seen("failed")] }), { duplicateTerminals: 1 });
  assert.deepEqual(faultsOf({ sender: [...good.sender.slice(0, 3), seen("canceled")] }), {
    duplicateTerminals: 1,
  });
  assert.deepEqual(faultsOf({ sender: [...good.sender, seen("working")] }), { duplicateTerminals: 1 });
});

Deno.test("checkHistory() counts reruns and explains those alone whose first run died with its agent", () => {
  const kill = { kind: "kill", target: "agent", pid: 7, atMs: 25 };
  const again = run("r2", { pid: 8, atMs: 50 });
  const handlers = [run("r1"), again];
  assert.deepEqual(faultsOf({ handlers, faults: [kill] }), { reruns: 1 });
  const unexplained = { reruns: 1, unexplainedReruns: 1 };
  assert.deepEqual(faultsOf({ handlers }), unexplained);
  assert.deepEqual(faultsOf({ handlers, faults: [{ ...kill, target: "receiver daemon" }] }), unexplained);
  assert.deepEqual(faultsOf({ handlers, faults: [{ ...kill, kind: "stop" }] }), unexplained);
  assert.deepEqual(faultsOf({ handlers, faults: [{ ...kill, pid: 9 }] }), unexplained);
  assert.deepEqual(faultsOf({ handlers, faults: [{ ...kill, atMs: 10 }] }), unexplained);
  assert.deepEqual(faultsOf({ handlers, faults: [{ ...kill, atMs: 60 }] }), unexplained);
  const ended = [run("r1"), run("r1", { phase: "end", atMs: 24 }), again];
  assert.deepEqual(faultsOf({ handlers: ended, faults: [kill] }), unexplained);
  assert.deepEqual(faultsOf({ handlers: [...handlers, run("r3", { atMs: 70 })], faults: [kill] }), {
    reruns: 2,
    unexplainedReruns: 1,
  });
});

Deno.test("readFaultJournal() gives what was added by one writer after another, without a torn line", async () => {
  await using folder = await tempDir();
  const path = `${folder.path}/journal`;
  assert.deepEqual(await readFaultJournal(path), []);
  {
    using journal = new FaultJournal(path);
    journal.add({ n: 1 });
  }
  await Deno.writeTextFile(path, '{"n":', { append: true });
  assert.deepEqual(await readFaultJournal(path), [{ n: 1 }]);
  using journal = new FaultJournal(path);
  journal.add({ n: 2 });
  assert.deepEqual(await readFaultJournal(path), [{ n: 1 }, { n: 2 }]);
});

Deno.test("createFaultRandom() repeats its choices for a seed, and keeps within bounds", () => {
  const draw = (seed: number) => {
    const random = createFaultRandom(seed);
    return Array.from({ length: 1000 }, () => random.between(3, 5));
  };
  assert.deepEqual(draw(1), draw(1));
  assert.notDeepEqual(draw(1), draw(2));
  assert.deepEqual([...new Set(draw(1))].sort(), [3, 4, 5]);
});
