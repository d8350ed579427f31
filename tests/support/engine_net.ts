import {
  type AdmitSend,
  type AdmitTask,
  type Answer,
  type Artifact,
  Engine,
  type EngineOptions,
  type Envelope,
  type EnvelopeBody,
  type EnvelopeTransport,
  type Message,
  type OfferedTask,
  type RouteFinder,
  type Task,
} from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import { createLogger } from "../../core/log.ts";
import { decodeEnvelope, encodeEnvelope } from "../../daemon/convert/envelope.ts";
import { KvTaskStore } from "../../daemon/store/kv_task_store.ts";
import { createMemoryKvStore, type KvStore } from "../../kv/mod.ts";
import { FakeClock } from "./fake_clock.ts";

/** One engine of an {@link EngineNet} and what it sent. */
export interface EngineNode {
  readonly name: string;
  readonly engine: Engine;
  readonly kv: KvStore;
  /** Every envelope it tried to send, in order. */
  readonly sent: Envelope[];
  /** What it logged as warnings and errors. */
  readonly logged: string[];
}

/**
 * What happens to an envelope: passed on (default), lost on its way, its answer lost, broken off while sending, or answered
 * by a peer that cannot take it now.
 */
export type Fate = "pass" | "lose" | "lose_answer" | "fail" | "busy";

/** Engines joined by a network in memory whose faults the test decides. */
export class EngineNet implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly nodes = new Map<string, EngineNode>();
  fate: (from: string, to: string, envelope: Envelope) => Fate = () => "pass";
  reachable: (from: string, to: string) => boolean = () => true;
  /** Peers that speak 1.0 only. */
  readonly legacy = new Set<string>();
  /** Envelopes under way to one peer. */
  window = 16;
  readonly #pending = new Set<Promise<unknown>>();
  readonly #silent = new Set<(error: unknown) => void>();

  /** Starts an engine called `name`, over `kv` when a former one is to be continued. */
  async start(
    name: string,
    options: EngineOptions & {
      kv?: KvStore;
      admit?: AdmitTask;
      admitSend?: AdmitSend;
      finder?: RouteFinder;
      /** Agents with a role of an earlier run. */
      agentIds?: readonly string[];
    } = {},
  ): Promise<EngineNode> {
    const kv = options.kv ?? createMemoryKvStore();
    const sent: Envelope[] = [];
    const logged: string[] = [];
    const logger = createLogger({ level: "warn", write: (line) => logged.push(line) });
    const deps = {
      store: new KvTaskStore({ kv, logger }),
      logger,
      clock: this.clock,
      encode: encodeEnvelope,
      ...options.admit && { admit: options.admit },
      ...options.admitSend && { admitSend: options.admitSend },
    };
    const transport = this.#transport(name, sent);
    const engine = new Engine({ ...deps, transport, finder: options.finder }, options);
    const node = { name, engine, kv, sent, logged };
    this.nodes.set(name, node);
    await engine.start({ agentIds: options.agentIds ?? [] });
    return node;
  }

  /** Ends the engine called `name`: nobody reaches it any more. */
  async stop(name: string): Promise<void> {
    const node = this.nodes.get(name);
    this.nodes.delete(name);
    await node?.engine[Symbol.asyncDispose]();
  }

  /** Lets `ms` pass in steps, with all that happens meanwhile. */
  async pass(ms: number, options: { steps?: number } = {}): Promise<void> {
    const { steps = 1 } = options;
    for (let step = 0; step < steps; step++) {
      this.clock.advance(ms / steps);
      await this.settle();
    }
  }

  /** Resolves once nothing is on its way any more (sleeping retries are not on their way). */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 20; quiet++) {
      if (this.#pending.size > 0) quiet = 0;
      await Promise.all(this.#pending);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { engine } of this.nodes.values()) await engine[Symbol.asyncDispose]();
    await this.settle();
  }

  /** Breaks all connections: whoever waits for an answer is told that none comes. */
  async cut(): Promise<void> {
    for (const fail of this.#silent) fail(new CodedError("unavailable", "the connection broke"));
    this.#silent.clear();
    await this.settle();
  }

  #silence(signal: AbortSignal | undefined): Promise<never> {
    return new Promise((_resolve, reject) => {
      this.#silent.add(reject);
      signal?.addEventListener("abort", () => {
        this.#silent.delete(reject);
        reject(signal.reason);
      }, { once: true });
    });
  }

  #transport(from: string, sent: Envelope[]): EnvelopeTransport {
    const check = (to: string) => {
      if (this.reachable(from, to) && this.nodes.has(to)) return;
      throw new CodedError("unavailable", `${to} cannot be reached`);
    };
    return {
      peerId: from,
      isConnected: (to) => this.reachable(from, to) && this.nodes.has(to),
      framingOf: (to) => this.legacy.has(to) ? "1.0" : "2.0",
      windowOf: () => this.window,
      connect: (to) => Promise.resolve().then(() => check(to)),
      send: async (to, { bytes }, { signal } = {}) => {
        await Promise.resolve();
        check(to);
        const decoded = decodeEnvelope(structuredClone(bytes));
        if (decoded?.kind !== "envelope") throw new Error("the envelope cannot be read");
        const { envelope } = decoded;
        sent.push(envelope);
        const fate = this.fate(from, to, envelope);
        if (fate === "fail") throw new CodedError("unavailable", "the stream was reset");
        if (fate === "busy") return { outcome: "busy", reason: "too much to do" };
        if (fate === "lose") return await this.#silence(signal);
        const answer = this.nodes.get(to)?.engine.receive(from, envelope) ?? this.#silence(signal);
        const tracked: Promise<unknown> = answer.finally(() => this.#pending.delete(tracked));
        this.#pending.add(tracked);
        return fate === "lose_answer" ? await this.#silence(signal) : await answer;
      },
    };
  }
}

/** A message of one text part. */
export function textMessage(text: string, role: Message["role"] = "user"): Message {
  const content = { kind: "text", text } as const;
  return {
    messageId: crypto.randomUUID(),
    role,
    createdAtMs: 0,
    parts: [{ content, mediaType: "", metadata: {} }],
  };
}

/** A small result. */
export const artifact: Artifact = {
  artifactId: "a1",
  name: "answer",
  parts: [{
    content: { kind: "raw", data: new Uint8Array([1, 2, 3]), filename: "x.bin" },
    mediaType: "a/b",
    metadata: {},
  }],
};

/** Sends `body` from `from` to `to` as it would come over the wire, under an id of its own when none is given. */
export function receiveFrom(
  to: EngineNode,
  from: string,
  body: EnvelopeBody,
  options: { envelopeId?: string } = {},
): Promise<Answer> {
  const { envelopeId = crypto.randomUUID() } = options;
  const trace = { traceParent: "", traceState: "" };
  return to.engine.receive(from, { envelopeId, timestampMs: 0, trace, body });
}

/** A body that brings a task. */
export function sendTaskBody(
  taskId: string,
  changes: Partial<EnvelopeBody & { type: "send_task" }> = {},
): EnvelopeBody & { type: "send_task" } {
  return {
    type: "send_task",
    taskId,
    contextId: "",
    targetSkillId: "",
    metadata: {},
    deadlineMs: 0,
    message: textMessage("hi"),
    ...changes,
  };
}

/** What is read of `updates` as it comes, until they end. */
export function collect<T>(updates: AsyncIterable<T>): { readonly seen: T[]; readonly done: Promise<void> } {
  const seen: T[] = [];
  const done = (async () => {
    for await (const update of updates) seen.push(update);
  })();
  done.catch(() => {
    // For whoever awaits it; else it is how the end of the engine ends it.
  });
  return { seen, done };
}

/** The first task offered. */
export async function nextTask(tasks: AsyncIterable<OfferedTask>): Promise<Task> {
  for await (const { task } of tasks) return task;
  throw new Error("no task came");
}

/** The ids of the tasks offered, as they come. */
export function collectIds(
  tasks: AsyncIterable<OfferedTask>,
): { readonly seen: string[]; readonly done: Promise<void> } {
  const seen: string[] = [];
  const done = (async () => {
    for await (const { task } of tasks) seen.push(task.taskId);
  })();
  done.catch(() => {
    // For whoever awaits it; else it is how the end of the engine ends it.
  });
  return { seen, done };
}
