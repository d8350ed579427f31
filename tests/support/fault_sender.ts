/**
 * The sender of the fault tests, a program of its own: it sends tasks until SIGTERM, follows each to its end, writes down what
 * it was promised and what it saw, and takes up what an earlier run of it left. It ends when all its tasks have ended.
 * `deno run -A fault_sender.ts '{"daemonAddr": …}'`, see {@link FaultSenderOptions}.
 */
import { isTerminal, Node, TaskNotFoundError } from "../../sdk/mod.ts";
import { kindOf, type SenderEntry, type TaskKind, taskText } from "./fault_history.ts";
import { FaultJournal, readFaultJournal } from "./fault_journal.ts";

export interface FaultSenderOptions {
  readonly daemonAddr: string;
  readonly journal: string;
  readonly peerId: string;
  /** Kinds of tasks to send, in turn. */
  readonly kinds: readonly TaskKind[];
  /** Unfinished tasks at once. */
  readonly maxOpen: number;
  /** Longest pause between two tasks. */
  readonly maxPauseMs: number;
}

const RETRY_MS = 150;
const MAX_CANCEL_DELAY_MS = 150;
const STAYS_AWAY_MS = 600_000;
/** How often it tells what it still waits for once it is to end. */
const TELL_MS = 10_000;
const sleep = (delayMs: number) => new Promise((resolve) => setTimeout(resolve, delayMs));

class FaultSender {
  readonly #options: FaultSenderOptions;
  readonly #journal: FaultJournal<SenderEntry>;
  readonly #node: Node;
  readonly #open = new Set<Promise<void>>();
  /** What it waits for, by task. */
  readonly #doing = new Map<string, string>();
  #count = 0;
  #stopping = false;

  constructor(options: FaultSenderOptions) {
    this.#options = options;
    this.#journal = new FaultJournal(options.journal);
    this.#node = new Node({ daemonAddr: options.daemonAddr, reconnectMs: STAYS_AWAY_MS });
  }

  stop(): void {
    this.#stopping = true;
  }

  async run(): Promise<void> {
    await this.#untilDone("start", () => this.#node.start());
    await this.#resume();
    console.log("READY=true");
    const { kinds, maxOpen, maxPauseMs } = this.#options;
    while (!this.#stopping) {
      if (this.#open.size >= maxOpen) await Promise.race([...this.#open, sleep(RETRY_MS)]);
      else {
        const kind = kinds[this.#count % kinds.length] ?? "echo";
        this.#track(this.#send(crypto.randomUUID(), taskText(++this.#count, kind)));
        await sleep(Math.random() * maxPauseMs);
      }
    }
    const telling = setInterval(() => this.#tell(), TELL_MS);
    while (this.#open.size > 0) await Promise.race(this.#open);
    this.#doing.set("node", "stop");
    await this.#node.stop();
    clearInterval(telling);
    this.#journal[Symbol.dispose]();
  }

  /** Takes up the tasks that an earlier run has begun to send or has not followed to their end. */
  async #resume(): Promise<void> {
    const last = new Map<string, SenderEntry>();
    const texts = new Map<string, string>();
    for (const entry of await readFaultJournal<SenderEntry>(this.#options.journal)) {
      last.set(entry.taskId, entry);
      if (entry.phase !== "seen") texts.set(entry.taskId, entry.text);
    }
    this.#count = texts.size;
    for (const [taskId, entry] of last) {
      const hasEnded = entry.phase === "seen" && isTerminal(entry.status);
      if (entry.phase === "sending") this.#track(this.#send(taskId, entry.text));
      else if (!hasEnded) this.#track(this.#follow(taskId));
    }
  }

  #tell(): void {
    const doing = [...this.#doing].map(([taskId, what]) => `${taskId} ${what}`);
    console.error(`${new Date().toISOString()} still at: ${doing.join(", ")}`);
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#open.delete(tracked));
    this.#open.add(tracked);
  }

  async #send(taskId: string, text: string): Promise<void> {
    const { peerId } = this.#options;
    this.#journal.add({ phase: "sending", taskId, text, atMs: Date.now() });
    await this.#untilDone(taskId, () => this.#node.sendTask(text, { peerId, taskId, targetSkill: "faults" }));
    this.#journal.add({ phase: "sent", taskId, text, atMs: Date.now() });
    if (kindOf(text) === "cancel") await this.#cancel(taskId);
    await this.#follow(taskId);
  }

  /** Asks for the end of the task once, at a random moment; whether it comes to that is not for the sender to say. */
  async #cancel(taskId: string): Promise<void> {
    await sleep(Math.random() * MAX_CANCEL_DELAY_MS);
    this.#doing.set(taskId, "cancel");
    try {
      await (await this.#node.getTaskHandle(taskId)).cancel();
    } catch (error) {
      console.error(`${taskId} was not canceled: ${error}`);
    }
  }

  async #follow(taskId: string): Promise<void> {
    for (;;) {
      try {
        this.#doing.set(taskId, "get");
        const handle = await this.#node.getTaskHandle(taskId);
        this.#doing.set(taskId, "follow");
        for await (const { status } of handle.events()) {
          this.#doing.set(taskId, `follow after ${status}`);
          this.#journal.add({ phase: "seen", taskId, status, atMs: Date.now() });
        }
        return void this.#doing.delete(taskId);
      } catch (error) {
        console.error(`${taskId}: ${error}`);
        if (error instanceof TaskNotFoundError) return; // It is lost, which the checker will find.
        await sleep(RETRY_MS);
      }
    }
  }

  async #untilDone(what: string, call: () => Promise<unknown>): Promise<void> {
    for (let tries = 1;; tries++) {
      this.#doing.set(what, `try ${tries}`);
      try {
        await call();
        return void this.#doing.delete(what);
      } catch (error) {
        if (tries % 20 === 1) console.error(`${what}, try ${tries}: ${error}`);
        await sleep(RETRY_MS);
      }
    }
  }
}

const sender = new FaultSender(JSON.parse(Deno.args[0] ?? "{}"));
Deno.addSignalListener("SIGTERM", () => sender.stop());
await sender.run();
Deno.exit(0);
