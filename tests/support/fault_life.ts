import { isDeepStrictEqual } from "node:util";
import {
  type Artifact,
  type Engine,
  isTerminal,
  type Message,
  type Task,
  type TaskStatus,
} from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import { type EnvelopeFate, FaultEngines } from "./fault_engines.ts";
import type { DeathPlan, DyingKv } from "./fault_kv.ts";
import type { FaultRandom } from "./fault_random.ts";

export type Side = "sender" | "receiver";

/** One thing that a client of one of both engines does. It tries again after its engine died, unless `isDone` says so. */
export interface LifeStep {
  readonly at: Side;
  /** Whether its time has come; asked of the task on its side. */
  readonly isReady: (task: Task | undefined) => boolean;
  readonly act: (engine: Engine, taskId: string) => Promise<unknown>;
  readonly isDone: (task: Task | undefined) => boolean;
}

/** The scripted life of a task. */
export interface LifeScript {
  readonly name: string;
  readonly steps: readonly LifeStep[];
  /** How it may end. */
  readonly ends: readonly TaskStatus[];
  /** What is said, role first, in order; each once, whoever dies. */
  readonly said: readonly string[];
  /** Milliseconds to pass at least before it can end. Default 0. */
  readonly waitMs?: number;
  /** It ends by a time of day. Default false. */
  readonly hasDeadline?: boolean;
  /** The receiver never hears of it. Default false. */
  readonly isUndelivered?: boolean;
}

/** How the lives of each engine end, one after the other; the one behind the last lives on. */
export type LifeDeaths = Partial<Readonly<Record<Side, readonly DeathPlan[]>>>;

/** What became of a life. */
export interface LifeResult {
  /** Commits of each side's first life. */
  readonly commits: Readonly<Record<Side, number>>;
  /** How many planned deaths took place. */
  readonly deaths: number;
  readonly problems: readonly string[];
}

/** Every second envelope gets through unharmed. */
const FATES: readonly EnvelopeFate[] = [
  "pass",
  "pass",
  "pass",
  "pass",
  "twice",
  "lose",
  "lose_answer",
  "truncate",
  "hold",
];
const SIDES = ["sender", "receiver"] as const;
const TASK_ID = "the-task";
const SHORT_TTL_MS = 120_000;
const LONG_TTL_MS = 24 * 60 * 60 * 1000;
const TRIES = 40;
const STEP_MS = 20_000;

export const LIFE_RESULT: Artifact = {
  artifactId: "a1",
  name: "answer",
  parts: [{ content: { kind: "text", text: "42" }, mediaType: "text/plain", metadata: {} }],
};

/** A message of one text part, which is its id too. */
export function lifeMessage(text: string, role: Message["role"]): Message {
  const content = { kind: "text", text } as const;
  return { messageId: text, role, createdAtMs: 0, parts: [{ content, mediaType: "", metadata: {} }] };
}

/**
 * Plays `script` with engines dying as told; every client goes on with its engine's next life. `random` chooses what happens to
 * each envelope until all clients have done their part; without it nothing does.
 */
export async function playLife(
  script: LifeScript,
  options: { deaths?: LifeDeaths; random?: FaultRandom; setUp?: (net: FaultEngines) => void } = {},
): Promise<LifeResult> {
  const { deaths = {}, random, setUp = () => {} } = options;
  await using net = new FaultEngines();
  if (random !== undefined) net.fate = () => random.pick(FATES);
  if (script.isUndelivered) net.fate = () => "lose";
  setUp(net);
  const lives: Record<Side, DyingKv[]> = { sender: [], receiver: [] };
  for (const side of SIDES) {
    net.plan(side, {
      engine: { envelopeTtlMs: script.isUndelivered ? SHORT_TTL_MS : LONG_TTL_MS },
      deaths: deaths[side] ?? [],
    });
    net.onStart = (name, life) => lives[name === "sender" ? "sender" : "receiver"].push(life);
  }
  for (const side of SIDES) await net.start(side);
  for (const step of script.steps) await play(net, step, random);
  if (!script.isUndelivered) net.fate = () => "pass";
  await release(net, random);
  const problems = await judge(net, script);
  const deathsOf = (side: Side) => lives[side].filter(({ isDead }) => isDead).length;
  const most = script.isUndelivered ? 0 : turnsOf(script) + deathsOf("receiver");
  const { offered } = net.node("receiver");
  if (offered.length > most) problems.push(`offered ${offered.length} times: ${most} at most`);
  const commitsOf = (side: Side) => lives[side][0]?.commits ?? 0;
  return {
    commits: { sender: commitsOf("sender"), receiver: commitsOf("receiver") },
    deaths: deathsOf("sender") + deathsOf("receiver"),
    problems,
  };
}

/** How often an agent has to be given the task: for the request, and for each answer to a question. */
function turnsOf({ said }: LifeScript): number {
  return said.filter((one) => one.startsWith("user: ")).length;
}

/** Settles, and gives engines that died meanwhile a new life. */
async function goOn(net: FaultEngines): Promise<void> {
  do {
    for (const side of SIDES) await net.living(side);
    await net.settle();
  } while (SIDES.some((side) => net.node(side).life.isDead));
}

/** Lets envelopes arrive that were held back, in any order. */
async function release(net: FaultEngines, random: FaultRandom | undefined): Promise<void> {
  if (random === undefined) return;
  await net.release((held) =>
    held.map((one) => ({ one, place: random.next() })).sort((a, b) => a.place - b.place).map(({ one }) => one)
  );
}

async function play(net: FaultEngines, step: LifeStep, random: FaultRandom | undefined): Promise<void> {
  for (let tries = 0; tries < TRIES; tries++) {
    if (tries > 0) await release(net, random);
    await goOn(net);
    const task = await net.view(step.at, TASK_ID);
    if (step.isDone(task)) return;
    if (!step.isReady(task)) {
      net.advance(STEP_MS);
      continue;
    }
    const { engine, life } = net.node(step.at);
    const told = await Promise.race([
      step.act(engine, TASK_ID).then(() => true, (error) => {
        if (error instanceof CodedError) return false;
        throw error;
      }),
      life.died.then(() => false),
    ]);
    if (told) return;
  }
  const [ours, theirs] = [await net.view("sender", TASK_ID), await net.view("receiver", TASK_ID)];
  throw new Error(
    `A step at the ${step.at} was never done: ${ours?.status} at the sender, ${theirs?.status} at the receiver`,
  );
}

async function judge(net: FaultEngines, script: LifeScript): Promise<string[]> {
  await goOn(net);
  net.advance(script.waitMs ?? 0);
  let tasks: (Task | undefined)[] = [];
  for (let tries = 0; tries < TRIES; tries++) {
    await goOn(net);
    tasks = [await net.view("sender", TASK_ID), await net.view("receiver", TASK_ID)];
    if (tasks.every((task) => task !== undefined && isTerminal(task.status))) break;
    net.advance(STEP_MS);
  }
  await goOn(net);
  const problems: string[] = [];
  const [sent, received] = tasks;
  for (const [side, task] of [["sender", sent], ["receiver", received]] as const) {
    if (side === "receiver" && script.isUndelivered) {
      if (task !== undefined) problems.push("the receiver has a task that was never delivered");
    } else problems.push(...problemsOf(task, script).map((problem) => `${side}: ${problem}`));
  }
  if (sent && received) {
    for (const field of ["status", "artifacts", "errorMessage"] as const) {
      if (isDeepStrictEqual(sent[field], received[field])) continue;
      const [ours, theirs] = [JSON.stringify(sent[field]), JSON.stringify(received[field])];
      problems.push(`${field}: ${ours} at the sender, ${theirs} at the receiver`);
    }
  }
  if (sent && isTerminal(sent.status)) problems.push(...await endsTold(net));
  return problems;
}

function problemsOf(task: Task | undefined, script: LifeScript): string[] {
  if (task === undefined) return ["the task is lost"];
  const problems: string[] = [];
  if (!script.ends.includes(task.status)) problems.push(`is ${task.status} (${task.errorMessage})`);
  const said = task.messages.map(({ role, messageId }) => `${role}: ${messageId}`);
  if (said.join() !== script.said.join()) problems.push(`said is ${said.join()}`);
  const results = task.artifacts.map(({ artifactId }) => artifactId).join();
  const expected = task.status === "completed" ? LIFE_RESULT.artifactId : "";
  if (results !== expected) problems.push(`has the artifacts "${results}" instead of "${expected}"`);
  return problems;
}

/** What a late subscriber is told from the beginning: one end, and it comes last. */
async function endsTold(net: FaultEngines): Promise<string[]> {
  const told: TaskStatus[] = [];
  const { engine } = net.node("sender");
  for await (const { status } of engine.subscribe(TASK_ID, { afterGeneration: 0 })) told.push(status);
  const ends = told.filter(isTerminal);
  return ends.length === 1 && isTerminal(told.at(-1) ?? "submitted")
    ? []
    : [`subscribers are told ${told.join()}`];
}
