import { setImmediate } from "node:timers/promises";
import {
  Engine,
  type EngineOptions,
  type Envelope,
  type EnvelopeTransport,
  type Task,
} from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import { silentLogger } from "../../core/log.ts";
import { decodeEnvelope, encodeEnvelope } from "../../daemon/convert/envelope.ts";
import { KvTaskStore } from "../../daemon/store/kv_task_store.ts";
import { createMemoryKvStore, type KvStore } from "../../kv/mod.ts";
import { FaultClock } from "./fault_clock.ts";
import { createDyingKv, type DeathPlan, type DyingKv } from "./fault_kv.ts";

/** What happens to an envelope and to its answer on their way. */
export type EnvelopeFate =
  | "pass"
  /** It never arrives and nobody is told. */
  | "lose"
  /** It arrives, and then the way breaks before the answer is there. */
  | "lose_answer"
  /** It arrives twice at once. */
  | "twice"
  /** Its bytes arrive cut in half. */
  | "truncate"
  /** It arrives when the test says {@link FaultEngines.release}, in the order that the test gives. */
  | "hold";

/** An engine, over its store, until it dies. */
export interface FaultEngine {
  readonly name: string;
  readonly engine: Engine;
  readonly life: DyingKv;
  /** Ids of the tasks its agent was given, over all lives of the engine. */
  readonly offered: string[];
}

interface Held {
  readonly envelope: Envelope;
  readonly deliver: () => Promise<void>;
}

/** Ticks of the event loop without anything on its way, after which nothing moves by itself any more. */
const QUIET_TICKS = 4;

/** Engines on real stores and real bytes that die and come back, joined by a network whose faults the test decides. */
export class FaultEngines implements AsyncDisposable {
  readonly #clocks = new Map<string, FaultClock>();
  fate: (from: string, to: string, envelope: Envelope) => EnvelopeFate = () => "pass";
  reachable: (from: string, to: string) => boolean = () => true;
  /** Told of each life of each engine. */
  onStart: (name: string, life: DyingKv) => void = () => {};
  readonly held: Held[] = [];
  /** Envelopes that arrived, in order: sender's name and body type. */
  readonly arrived: { readonly from: string; readonly envelope: Envelope }[] = [];
  readonly #stores = new Map<string, KvStore>();
  readonly #options = new Map<string, EngineOptions>();
  readonly #deaths = new Map<string, DeathPlan[]>();
  readonly #alive = new Map<string, FaultEngine>();
  readonly #agents = new Set<Promise<void>>();
  #moving = 0;

  /** How the engine called `name` is set up in all its lives, and how these end, one after the other. */
  plan(
    name: string,
    { engine = {}, deaths = [] }: { engine?: EngineOptions; deaths?: readonly DeathPlan[] },
  ): void {
    this.#options.set(name, engine);
    this.#deaths.set(name, [...deaths]);
  }

  /** Starts the engine called `name`, over the store of its former life if it had one. */
  async start(name: string): Promise<FaultEngine> {
    const store = this.#stores.get(name) ?? createMemoryKvStore();
    this.#stores.set(name, store);
    const life = createDyingKv(store, this.#deaths.get(name)?.shift());
    this.onStart(name, life);
    const engine = new Engine({
      store: new KvTaskStore({ kv: life.kv, logger: silentLogger }),
      transport: this.#transport(name, life),
      encode: encodeEnvelope,
      logger: silentLogger,
      clock: this.clockOf(name),
    }, this.#options.get(name));
    const node = { name, engine, life, offered: this.#alive.get(name)?.offered ?? [] };
    this.#alive.set(name, node);
    await Promise.race([engine.start(), life.died]);
    this.#listen(node);
    for (const other of this.#alive.values()) {
      if (this.reachable(other.name, name)) other.engine.peerConnected(name);
    }
    return node;
  }

  /** The clock of the machine on which the engine called `name` lives. */
  clockOf(name: string): FaultClock {
    const clock = this.#clocks.get(name) ?? new FaultClock();
    this.#clocks.set(name, clock);
    return clock;
  }

  /** Time passes everywhere. */
  advance(ms: number): void {
    for (const clock of this.#clocks.values()) clock.advance(ms);
  }

  /** The engine called `name`; a new life of it when the last one is over. */
  async living(name: string): Promise<FaultEngine> {
    while (this.node(name).life.isDead) await this.start(name);
    return this.node(name);
  }

  node(name: string): FaultEngine {
    const node = this.#alive.get(name);
    if (node === undefined) throw new Error(`No engine ${name} was started`);
    return node;
  }

  /** The task at `name`, or undefined. */
  async view(name: string, taskId: string): Promise<Task | undefined> {
    const { engine } = this.node(name);
    try {
      return await engine.getTask(taskId);
    } catch (error) {
      if (error instanceof CodedError && error.code === "not_found") return undefined;
      throw error;
    }
  }

  /** Lets held envelopes arrive: those that `choose` gives of them, in its order. */
  async release(choose: (held: Held[]) => Held[] = (held) => held): Promise<void> {
    for (const one of choose(this.held.splice(0))) await one.deliver();
  }

  /** Resolves once nothing moves by itself: what sleeps, sleeps on the clock. Engines that died meanwhile stay dead. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_TICKS; quiet++) {
      if (this.#moving > 0) quiet = 0;
      await setImmediate();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { engine, life } of this.#alive.values()) {
      if (!life.isDead) await engine[Symbol.asyncDispose]();
    }
    await this.settle();
  }

  /** The agent: it takes note of every task it is given. */
  #listen({ engine, offered }: FaultEngine): void {
    const listening = (async () => {
      for await (const { task } of engine.subscribeIncoming()) offered.push(task.taskId);
    })().catch(() => {
      // The engine stops.
    });
    this.#agents.add(listening);
  }

  #transport(from: string, life: DyingKv): EnvelopeTransport {
    const isThere = (to: string) => this.reachable(from, to) && this.#alive.get(to)?.life.isDead === false;
    const check = (to: string) => {
      if (!isThere(to)) throw new CodedError("unavailable", `${to} cannot be reached`);
    };
    const ofTheLiving = async <T>(work: () => Promise<T>): Promise<T> => {
      if (life.isDead) return await new Promise<never>(() => {});
      const result = await work();
      return life.isDead ? await new Promise<never>(() => {}) : result;
    };
    return {
      peerId: from,
      isConnected: (to) => !life.isDead && isThere(to),
      framingOf: () => undefined,
      windowOf: () => 16,
      connect: (to) => ofTheLiving(() => Promise.resolve().then(() => check(to))),
      send: (to, { bytes }) =>
        ofTheLiving(async () => {
          await Promise.resolve();
          check(to);
          return await this.#carry(from, to, bytes);
        }),
    };
  }

  async #carry(from: string, to: string, bytes: Uint8Array) {
    const decoded = decodeEnvelope(bytes);
    if (decoded?.kind !== "envelope") throw new Error("An engine has sent what is no envelope");
    const { envelope } = decoded;
    const broken = new CodedError("unavailable", "the way broke before the answer was there");
    switch (this.fate(from, to, envelope)) {
      case "pass":
        return await this.#arrive(from, to, envelope);
      case "twice":
        return (await Promise.all([this.#arrive(from, to, envelope), this.#arrive(from, to, envelope)]))[1];
      case "lose_answer":
        await this.#arrive(from, to, envelope);
        throw broken;
      case "truncate":
        throw this.#truncated(bytes) ?? broken;
      case "lose":
        return await new Promise<never>(() => {});
      case "hold": {
        const answer = Promise.withResolvers<Awaited<ReturnType<Engine["receive"]>>>();
        const deliver = () => this.#arrive(from, to, envelope).then(answer.resolve, answer.reject);
        this.held.push({ envelope, deliver });
        return await answer.promise;
      }
    }
  }

  /** Bytes cut in half are never taken for an envelope; the error when they are. */
  #truncated(bytes: Uint8Array): Error | undefined {
    try {
      decodeEnvelope(bytes.subarray(0, bytes.length >> 1));
      return undefined; // The half may be a whole message of protobuf: then it is the frame's length that tells.
    } catch (error) {
      return error instanceof CodedError
        ? undefined
        : new Error("A cut envelope is no coded error", { cause: error });
    }
  }

  async #arrive(from: string, to: string, envelope: Envelope) {
    const node = this.#alive.get(to);
    if (node === undefined || node.life.isDead) throw new CodedError("unavailable", `${to} is gone`);
    this.#moving++;
    this.arrived.push({ from, envelope });
    const gone = node.life.died.then(() => {
      throw new CodedError("unavailable", `${to} died before it answered`);
    });
    try {
      return await Promise.race([node.engine.receive(from, structuredClone(envelope)), gone]);
    } finally {
      this.#moving--;
    }
  }
}
