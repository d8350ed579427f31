import {
  type Artifact,
  Engine,
  type EngineOptions,
  type Envelope,
  type EnvelopeTransport,
  type Message,
  type Task,
} from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import { silentLogger } from "../../core/log.ts";
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
}

/** What happens to an envelope on its way: passed on (default), lost after sending, or refused while sending. */
export type Fate = "pass" | "lose" | "fail";

/** Engines joined by a network in memory whose faults the test decides. */
export class EngineNet implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly nodes = new Map<string, EngineNode>();
  fate: (from: string, to: string, envelope: Envelope) => Fate = () => "pass";
  reachable: (from: string, to: string) => boolean = () => true;
  #pending = new Set<Promise<void>>();

  /** Starts an engine called `name`, over `kv` when a former one is to be continued. */
  async start(name: string, options: EngineOptions & { kv?: KvStore } = {}): Promise<EngineNode> {
    const kv = options.kv ?? createMemoryKvStore();
    const sent: Envelope[] = [];
    const deps = {
      store: new KvTaskStore({ kv, logger: silentLogger }),
      logger: silentLogger,
      clock: this.clock,
    };
    const engine = new Engine({ ...deps, transport: this.#transport(name, sent) }, options);
    const node = { name, engine, kv, sent };
    this.nodes.set(name, node);
    await engine.start();
    return node;
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

  #transport(from: string, sent: Envelope[]): EnvelopeTransport {
    const check = (to: string) => {
      if (this.reachable(from, to) && this.nodes.has(to)) return;
      throw new CodedError("unavailable", `${to} cannot be reached`);
    };
    return {
      peerId: from,
      isConnected: (to) => this.reachable(from, to) && this.nodes.has(to),
      connect: (to) => Promise.resolve().then(() => check(to)),
      send: async (to, envelope) => {
        await Promise.resolve();
        check(to);
        sent.push(envelope);
        const fate = this.fate(from, to, envelope);
        if (fate === "fail") throw new CodedError("unavailable", "the stream was reset");
        if (fate === "lose") return;
        const arrival = Promise.resolve(this.nodes.get(to)?.engine.receive(from, structuredClone(envelope)));
        const tracked = arrival.finally(() => this.#pending.delete(tracked));
        this.#pending.add(tracked);
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

/** The first task offered to `engine`. */
export async function nextTask(tasks: AsyncIterable<Task>): Promise<Task> {
  for await (const task of tasks) return task;
  throw new Error("no task came");
}
