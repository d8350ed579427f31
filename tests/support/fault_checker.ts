import { isTerminal } from "../../a2a/state_machine.ts";
import {
  type FaultHistory,
  type HandlerEntry,
  kindOf,
  progressOn,
  type TaskView,
  wrongEnd,
} from "./fault_history.ts";

/** What a checked run amounts to. All but `tasks` and `reruns` must be 0. */
export interface FaultVerdict {
  /** Tasks that were accepted. */
  readonly tasks: number;
  /** Accepted tasks that are missing on a side, have not ended, or ended otherwise than the agent answered. */
  readonly lost: number;
  /** Tasks of which the two sides tell different things. */
  readonly divergent: number;
  /** Tasks nobody has sent, on either side, and handler runs of such. */
  readonly invented: number;
  /** Tasks of which two different ends were told. */
  readonly duplicateTerminals: number;
  /** Handler starts beyond one per task. */
  readonly reruns: number;
  /** Those before which no agent was killed in the middle of the run before. */
  readonly unexplainedReruns: number;
  /** What is wrong, one line each; at most {@link MAX_FINDINGS}. */
  readonly findings: readonly string[];
}

/** Findings that a verdict spells out. */
export const MAX_FINDINGS = 50;

/** Judges a run after everything has settled. Pure: the same history gives the same verdict. */
export function checkHistory(history: FaultHistory): FaultVerdict {
  const findings = new Findings();
  const texts = new Map(
    history.sender.flatMap((entry) => entry.phase === "seen" ? [] : [[entry.taskId, entry.text]]),
  );
  const accepted = new Set(
    history.sender.flatMap((entry) => entry.phase === "sent" ? [entry.taskId] : []),
  );
  const atSender = new Map(history.atSender.map((task) => [task.taskId, task]));
  const atReceiver = new Map(history.atReceiver.map((task) => [task.taskId, task]));
  const handled = new Set(history.handlers.map(({ taskId }) => taskId));
  /** A task may be called off before it has left its sender: nobody else ever hears of it then. */
  const neverLeft = (taskId: string) =>
    atSender.get(taskId)?.status === "canceled" && !atReceiver.has(taskId) && !handled.has(taskId) &&
    kindOf(texts.get(taskId) ?? "") === "cancel";
  for (const taskId of accepted) {
    if (neverLeft(taskId)) continue;
    const text = texts.get(taskId) ?? "";
    const sides = [["sender", atSender.get(taskId)], ["receiver", atReceiver.get(taskId)]] as const;
    for (const [side, view] of sides) {
      const problem = view === undefined ? "is missing" : wrongEnd(text, view) ?? wrongMessages(text, view);
      if (problem !== undefined) findings.add("lost", taskId, `${problem} at the ${side}`);
    }
  }
  for (const taskId of new Set([...atSender.keys(), ...atReceiver.keys()])) {
    if (!texts.has(taskId)) findings.add("invented", taskId, "nobody has sent it");
    else if (neverLeft(taskId)) continue;
    const difference = differenceOf(atSender.get(taskId), atReceiver.get(taskId));
    if (difference !== undefined) findings.add("divergent", taskId, difference);
  }
  for (const { taskId } of history.handlers) {
    if (!texts.has(taskId)) findings.add("invented", taskId, "nobody has sent it, but it was handled");
  }
  findEnds(history, atSender, findings);
  const reruns = findReruns(history, findings);
  return { tasks: accepted.size, ...findings.counts, reruns, findings: findings.lines };
}

/** Whether a verdict leaves nothing to be desired. */
export function isSound(verdict: FaultVerdict): boolean {
  const { lost, divergent, invented, duplicateTerminals, unexplainedReruns } = verdict;
  return lost + divergent + invented + duplicateTerminals + unexplainedReruns === 0;
}

type FindingKind = "lost" | "divergent" | "invented" | "duplicateTerminals" | "unexplainedReruns";

/** Counts tasks, not findings; of reruns each one. */
class Findings {
  readonly counts: Record<FindingKind, number> = {
    lost: 0,
    divergent: 0,
    invented: 0,
    duplicateTerminals: 0,
    unexplainedReruns: 0,
  };
  readonly lines: string[] = [];
  readonly #seen = new Set<string>();

  add(kind: FindingKind, taskId: string, what: string): void {
    const key = `${kind} ${taskId}`;
    if (kind === "unexplainedReruns" || !this.#seen.has(key)) this.counts[kind]++;
    this.#seen.add(key);
    if (this.lines.length < MAX_FINDINGS) this.lines.push(`${kind}: ${taskId} ${what}`);
  }
}

/** What is wrong with what was said: the request comes first, and nobody says what neither side has said. */
function wrongMessages(text: string, { messages }: TaskView): string | undefined {
  const [request, ...rest] = messages;
  if (request !== `user: ${text}`) return `begins with ${JSON.stringify(request)} instead of the request`;
  const sayable = new Set(progressOn(text).map((said) => `agent: ${said}`));
  // A refusal may be told as a message, as the reason of the end, or as both.
  const foreign = rest.find((said) => !sayable.has(said) && !said.startsWith("agent: no: "));
  return foreign === undefined ? undefined : `has a message that nobody has said: ${JSON.stringify(foreign)}`;
}

function differenceOf(ours: TaskView | undefined, theirs: TaskView | undefined): string | undefined {
  if (ours === undefined) return theirs && "is known to the receiver alone";
  if (theirs === undefined) return "is known to the sender alone";
  const fields = ["status", "messages", "artifacts", "error"] as const;
  const field = fields.find((one) => JSON.stringify(ours[one]) !== JSON.stringify(theirs[one]));
  if (field === undefined) return undefined;
  return `has ${field} ${JSON.stringify(ours[field])} at the sender, ${
    JSON.stringify(theirs[field])
  } at the receiver`;
}

/** Ends told by the update streams, and the one that is stored: they must be one and the same. */
function findEnds(
  { sender }: FaultHistory,
  atSender: ReadonlyMap<string, TaskView>,
  findings: Findings,
): void {
  const ends = new Map<string, Set<string>>();
  const add = (taskId: string, status: TaskView["status"]) => {
    if (isTerminal(status)) ends.set(taskId, (ends.get(taskId) ?? new Set()).add(status));
  };
  for (const entry of sender) if (entry.phase === "seen") add(entry.taskId, entry.status);
  for (const { taskId, status } of atSender.values()) add(taskId, status);
  for (const [taskId, told] of ends) {
    if (told.size > 1) findings.add("duplicateTerminals", taskId, `ended as ${[...told].join(" and ")}`);
  }
  const ended = new Set<string>();
  for (const entry of sender) {
    if (entry.phase !== "seen") continue;
    if (isTerminal(entry.status)) ended.add(entry.taskId);
    else if (ended.has(entry.taskId)) {
      findings.add("duplicateTerminals", entry.taskId, `was ${entry.status} after its end`);
    }
  }
}

/** Answers how often a handler ran again. */
function findReruns({ handlers, faults }: FaultHistory, findings: Findings): number {
  const starts = new Map<string, HandlerEntry[]>();
  const ended = new Set<string>();
  for (const entry of handlers) {
    if (entry.phase === "end") ended.add(entry.runId);
    else starts.set(entry.taskId, [...starts.get(entry.taskId) ?? [], entry]);
  }
  const kills = faults.filter(({ kind, target }) => kind === "kill" && target === "agent");
  const wasKilled = (run: HandlerEntry, beforeMs: number) =>
    !ended.has(run.runId) &&
    kills.some(({ pid, atMs }) => pid === run.pid && atMs >= run.atMs && atMs <= beforeMs);
  let reruns = 0;
  for (const [taskId, runs] of starts) {
    for (const [index, run] of runs.slice(1).entries()) {
      reruns++;
      const before = runs[index];
      if (before === undefined || wasKilled(before, run.atMs)) continue;
      findings.add("unexplainedReruns", taskId, `was handled again by ${run.pid} after ${before.pid}`);
    }
  }
  return reruns;
}
