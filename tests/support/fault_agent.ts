/**
 * The agent of the fault tests, a program of its own: it answers each task with a function of its text and writes down every
 * run of its handler. `deno run -A fault_agent.ts DAEMON_ADDRESS JOURNAL MAX_WORK_MS`
 */
import { CodedError, type ErrorCode, type IncomingTask, Node } from "../../sdk/mod.ts";
import { answerTo, type HandlerEntry, kindOf, progressOn, refusalTo } from "./fault_history.ts";
import { FaultJournal } from "./fault_journal.ts";

/** After these the daemon may be there again in a moment. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "unavailable",
  "cancelled",
  "unknown",
  "internal",
  "aborted",
  "deadline_exceeded",
  "resource_exhausted",
]);
const RETRY_MS = 100;

const [daemonAddr = "", journalPath = "", maxWorkMs = "50"] = Deno.args;
const journal = new FaultJournal<HandlerEntry>(journalPath);
const sleep = (delayMs: number) => new Promise((resolve) => setTimeout(resolve, delayMs));

/** Calls until the daemon has judged; answers its word. */
async function patiently(call: () => Promise<void>): Promise<string> {
  for (;;) {
    try {
      await call();
      return "ok";
    } catch (error) {
      const code = error instanceof CodedError ? error.code : "internal";
      if (!PASSING.has(code)) return code;
      await sleep(RETRY_MS);
    }
  }
}

/** Does what the text of the task says. */
async function work(task: IncomingTask): Promise<string> {
  // Not `task.text`: when it is worked on again, that has also what the run before has said.
  const text = task.messages[0]?.parts[0]?.text ?? "";
  const kind = kindOf(text);
  const pause = () => sleep(Math.random() * Number(maxWorkMs));
  if (kind === "progress") {
    for (const said of progressOn(text)) {
      await patiently(() => task.updateStatus("working", said));
      await pause();
    }
  } else await pause();
  switch (kind) {
    case "fail":
      return await patiently(() => task.fail(refusalTo(text)));
    case "reject":
      return await patiently(() => task.reject(refusalTo(text)));
    default:
      return await patiently(() => task.complete(answerTo(text)));
  }
}

const node = new Node({ daemonAddr, card: { name: "Fault agent", skills: [{ id: "faults" }] } });
node.onTask(async (task) => {
  const run = { taskId: task.taskId, runId: crypto.randomUUID(), pid: Deno.pid };
  journal.add({ phase: "start", ...run, atMs: Date.now() });
  const outcome = await work(task);
  journal.add({ phase: "end", ...run, atMs: Date.now(), outcome });
});
await patiently(() => node.start());
console.log("READY=true");
await node.serveForever();
