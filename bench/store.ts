/**
 * How many commits the store takes, beside Deno KV with one atomic for each. Both on disk, in turns, so that a busy disk
 * slows both alike.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type KvOperation, openDenoKvStore } from "../kv/mod.ts";
import { type Figures, medianFigures, runSlots, toFigures } from "./slots.ts";
import { toDigits, toTable } from "./table.ts";

const ROUNDS = 5;
const IN_FLIGHT = [1, 16, 64];
const MOST_IN_FLIGHT = Math.max(...IN_FLIGHT);
const STORED = [1_000, 10_000, 100_000];
/** Records of one task: itself and two that point to it. */
const RECORDS_PER_TASK = 3;
const TASKS_PER_FILL = 100;
const STEPS_PER_TASK = 5;
const WARM_UP_MS = 300;
const VALUE = new Uint8Array(600);
const SMALL_VALUE = new Uint8Array(16);
const USAGE = `Usage: deno run -A bench/store.ts [options]

Measures the store: a commit is a step of a task, which checks its revision and sets 600 bytes and two small values
(the last of ${STEPS_PER_TASK} deletes them). Per second, p50 and p99 in milliseconds, with 1, 16 and 64 in flight and 1,000, 10,000 and 100,000 records stored. Figures are medians
over ${ROUNDS} rounds in which the contenders take turns.

  --seconds N      seconds of measuring per contender, number in flight and number stored (default 2)
  --json           print JSON instead of a table
  --help           print this`;

/** A store that is measured. */
interface Contender extends AsyncDisposable {
  readonly name: string;
  /** Does all or nothing; the revision of what was set, undefined when a check did not hold. */
  commit(operations: readonly KvOperation[]): Promise<string | undefined>;
}

interface Result extends Figures {
  readonly contender: string;
  readonly stored: number;
  readonly inFlight: number;
}

async function openRaw(directory: string): Promise<Contender> {
  const kv = await Deno.openKv(`${directory}/raw.kv`);
  return {
    name: "Deno KV",
    commit: async (operations) => {
      const atomic = kv.atomic();
      for (const operation of operations) {
        const key = ["head", ...operation.key];
        if (operation.op === "set") atomic.set(key, operation.value);
        else if (operation.op === "delete") atomic.delete(key);
        else atomic.check({ key, versionstamp: operation.revision ?? null });
      }
      const result = await atomic.commit();
      return result.ok ? result.versionstamp : undefined;
    },
    [Symbol.asyncDispose]: () => {
      kv.close();
      return Promise.resolve();
    },
  };
}

async function openAdapter(directory: string): Promise<Contender> {
  const store = await openDenoKvStore({ directory: `${directory}/adapter` });
  return {
    name: "kv/",
    commit: (operations) => store.commit(operations),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

interface Task {
  readonly id: string;
  readonly number: number;
  readonly revision: string | undefined;
  readonly stepsDone: number;
}

/** The tasks of one contender: many that are just there, and one live one per slot, which its last step removes. */
class Tasks {
  readonly contender: Contender;
  readonly #live = new Map<number, Task>();
  #count = 0;

  constructor(contender: Contender) {
    this.contender = contender;
  }

  async fill(count: number): Promise<void> {
    while (this.#count < count) {
      const tasks = Array.from({ length: TASKS_PER_FILL }, () => this.#create());
      await this.contender.commit(tasks.flatMap((task) => toOperations(task)));
    }
  }

  /** The next step of the task of a slot. Throws when it was not done. */
  async step(slot: number): Promise<void> {
    const task = this.#live.get(slot) ?? this.#create();
    const stepsDone = task.stepsDone + 1;
    const check: KvOperation = { op: "check", key: ["task", task.id], revision: task.revision };
    const isLast = stepsDone === STEPS_PER_TASK;
    const revision = await this.contender.commit([check, ...toOperations(task, isLast)]);
    if (revision === undefined) throw new Error(`${this.contender.name} refused a step of task ${task.id}`);
    if (isLast) this.#live.delete(slot);
    else this.#live.set(slot, { ...task, revision, stepsDone });
  }

  #create(): Task {
    return { id: crypto.randomUUID(), number: this.#count++, revision: undefined, stepsDone: 0 };
  }
}

function toOperations({ id, number }: Task, isLast = false): KvOperation[] {
  const values = [
    { key: ["task", id], value: VALUE },
    { key: ["task_by_time", number, id], value: SMALL_VALUE },
    { key: ["outbox", "peer", number], value: SMALL_VALUE },
  ];
  return values.map(({ key, value }) => isLast ? { op: "delete", key } : { op: "set", key, value });
}

async function measureStored(stored: number, seconds: number): Promise<Result[]> {
  await using stack = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir({ prefix: "agentanycast_bench_" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const all: Tasks[] = [];
  for (const open of [openRaw, openAdapter]) {
    all.push(new Tasks(stack.use(await open(directory))));
  }
  const turn = (tasks: Tasks, options: { inFlight: number; durationMs: number }) =>
    runSlots((slot) => tasks.step(slot), options);
  for (const tasks of all) {
    await tasks.fill(stored / RECORDS_PER_TASK);
    await turn(tasks, { inFlight: MOST_IN_FLIGHT, durationMs: WARM_UP_MS });
  }
  const results: Result[] = [];
  for (const inFlight of IN_FLIGHT) {
    const rounds = new Map<Tasks, Figures[]>(all.map((tasks) => [tasks, []]));
    for (let round = 0; round < ROUNDS; round++) {
      for (const tasks of all) {
        const stretch = await turn(tasks, { inFlight, durationMs: seconds * 1000 / ROUNDS });
        rounds.get(tasks)?.push(toFigures(stretch));
      }
    }
    for (const [{ contender }, figures] of rounds) {
      results.push({ contender: contender.name, stored, inFlight, ...medianFigures(figures) });
    }
  }
  return results;
}

function toRows(results: readonly Result[]): string[][] {
  const header = ["", "stored", "in flight", "per s", "p50 ms", "p99 ms", "rate ratio"];
  const rows = results.map((result) => {
    const { contender, stored, inFlight, perSecond, p50Ms, p99Ms } = result;
    const first = results.find((one) => one.stored === stored && one.inFlight === inFlight) ?? result;
    const ratio = `${toDigits(perSecond / first.perSecond)}x`;
    const figures = [perSecond, p50Ms, p99Ms].map(toDigits);
    return [contender, String(stored), String(inFlight), ...figures, ratio];
  });
  return [header, ...rows];
}

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "2" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const seconds = Number(values.seconds);
if (values.help) {
  console.log(USAGE);
} else if (!(seconds > 0)) {
  console.error(`--seconds must be a positive number, got ${values.seconds}`);
  Deno.exitCode = 2;
} else {
  const results: Result[] = [];
  for (const stored of STORED) results.push(...await measureStored(stored, seconds));
  const machine = { deno: Deno.version.deno, cpus: navigator.hardwareConcurrency, os: Deno.build.os };
  console.log(
    values.json
      ? JSON.stringify({ machine, rounds: ROUNDS, seconds, results }, undefined, 2)
      : `${toTable(toRows(results))}\n\nRatios are against Deno KV with one atomic per commit.`,
  );
}
