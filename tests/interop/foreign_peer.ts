import assert from "node:assert/strict";
import { join } from "node:path";
import { create, type JsonValue, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { A2AEnvelopeSchema, EnvelopeType } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { type AgentCard, AgentCardSchema } from "../../gen/agentanycast/v1/agent_card_pb.ts";
import { PROGRAM_MS, within } from "../support/patience.ts";

/** Something that happened to the foreign peer; `event` says what. */
export type PeerEvent = Record<string, JsonValue> & { event: string };
/** An envelope as JSON. */
export type EnvelopeJson = Record<string, Record<string, JsonValue>>;

interface Payloads {
  sendTask: EnvelopeType.SEND_TASK;
  taskStatusUpdate: EnvelopeType.TASK_STATUS_UPDATE;
  taskComplete: EnvelopeType.TASK_COMPLETE;
  taskFail: EnvelopeType.TASK_FAIL;
  taskCancel: EnvelopeType.TASK_CANCEL;
}
const TYPES: Payloads = {
  sendTask: EnvelopeType.SEND_TASK,
  taskStatusUpdate: EnvelopeType.TASK_STATUS_UPDATE,
  taskComplete: EnvelopeType.TASK_COMPLETE,
  taskFail: EnvelopeType.TASK_FAIL,
  taskCancel: EnvelopeType.TASK_CANCEL,
};
type PayloadInit = Extract<
  NonNullable<MessageInitShape<typeof A2AEnvelopeSchema>["payload"]>,
  { case: keyof Payloads }
>;

/** Bundles the peer into one file that Node runs. */
export async function bundlePeer(directory: string): Promise<string> {
  const bundle = join(directory, "node_peer.mjs");
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["bundle", "--quiet", "--platform", "deno", "--output", bundle],
      join(import.meta.dirname as string, "node_peer.ts"),
    ],
  }).output();
  if (!success) throw new Error(`Cannot bundle the peer: ${new TextDecoder().decode(stderr)}`);
  return bundle;
}

/** A peer of another implementation in a process of its own, seen from the test. */
export class ForeignPeer implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: Promise<void>;
  readonly #replies = new Map<number, (line: Record<string, JsonValue>) => void>();
  readonly #waiting = new Set<() => void>();
  #lastId = 0;
  /** All that has happened so far, in order. */
  readonly events: PeerEvent[] = [];
  peerId = "";
  address = "";

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.#output = this.#read();
  }

  /** Starts `bundle` under the Node at `node`. */
  static async start(node: string, bundle: string): Promise<ForeignPeer> {
    const child = new Deno.Command(node, { args: [bundle], stdin: "piped", stdout: "piped" }).spawn();
    const peer = new ForeignPeer(child);
    await peer.until((event) => event.event === "ready");
    const { peerId, addresses } = await peer.command("info") as { peerId: string; addresses: string[] };
    peer.peerId = peerId;
    peer.address = addresses[0] as string;
    return peer;
  }

  /** Has the peer do something; answers what it answers. */
  async command(command: string, parameters: Record<string, JsonValue> = {}): Promise<JsonValue> {
    const id = ++this.#lastId;
    const { promise, resolve } = Promise.withResolvers<Record<string, JsonValue>>();
    this.#replies.set(id, resolve);
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify({ id, command, ...parameters })}\n`));
    const { result, error } = await within(`the answer to ${command}`, promise);
    if (error !== undefined) throw new Error(`The foreign peer cannot ${command}: ${error}`);
    return result ?? null;
  }

  /** Gives the peer an agent card, which it offers on each new connection. */
  async setCard(card: MessageInitShape<typeof AgentCardSchema>): Promise<void> {
    await this.command("set_card", {
      card: toJson(AgentCardSchema, create(AgentCardSchema, card) as AgentCard),
    });
  }

  /** Sends an envelope and answers its id. */
  async send(to: string, payload: PayloadInit, envelopeId: string = crypto.randomUUID()): Promise<string> {
    const type = TYPES[payload.case];
    const envelope = create(A2AEnvelopeSchema, { envelopeId, type, timestamp: timestampNow(), payload });
    await this.command("send", { to, envelope: toJson(A2AEnvelopeSchema, envelope) });
    return envelopeId;
  }

  /** As {@link send}, and waits until the receiver has acknowledged it. */
  async deliver(to: string, payload: PayloadInit, envelopeId: string = crypto.randomUUID()): Promise<string> {
    const before = this.acksOf(envelopeId);
    await this.send(to, payload, envelopeId);
    await this.until(() => this.acksOf(envelopeId) > before);
    return envelopeId;
  }

  /** How many times an envelope has been acknowledged. */
  acksOf(envelopeId: string): number {
    return this.events.filter(({ event, of }) => event === "ack" && of === envelopeId).length;
  }

  /** The envelopes about a task so far, each as the word for its kind, with the verdict when it was dropped. */
  received(taskId: string): string[] {
    return this.events.flatMap(({ event, envelope, verdict }) => {
      if (event !== "envelope") return [];
      const [kind, payload] = payloadOf(envelope as EnvelopeJson);
      if (payload.taskId !== taskId) return [];
      const word = String(payload.status ?? kind).replace("TASK_STATUS_", "");
      return [verdict === "taken" ? word : `${word} (${verdict})`];
    });
  }

  /** The payload of the first envelope about a task that is of that kind. */
  async payload(taskId: string, kind: keyof Payloads): Promise<Record<string, JsonValue>> {
    const { envelope } = await this.until(({ event, envelope }) => {
      if (event !== "envelope") return false;
      const [found, payload] = payloadOf(envelope as EnvelopeJson);
      return found === kind && payload.taskId === taskId;
    });
    return payloadOf(envelope as EnvelopeJson)[1];
  }

  /** Waits until a task has reached a status by the peer's strict table. */
  async untilStatus(taskId: string, status: string): Promise<void> {
    for (let seen = 0; await this.command("status", { taskId }) !== status;) {
      await this.until(() => this.events.length > seen);
      seen = this.events.length;
    }
  }

  /** The first event that `matches`, past or to come. */
  async until(matches: (event: PeerEvent) => boolean): Promise<PeerEvent> {
    for (let at = 0;;) {
      for (; at < this.events.length; at++) {
        if (matches(this.events[at] as PeerEvent)) return this.events[at] as PeerEvent;
      }
      await this.#next();
    }
  }

  async #next(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      const all = this.events.map((event) => JSON.stringify(event).slice(0, 300)).join("\n");
      reject(new assert.AssertionError({ message: `What was waited for did not happen, only:\n${all}` }));
    }, PROGRAM_MS);
    this.#waiting.add(resolve);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(resolve);
    }
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(JSON.parse(line));
    }
    for (const reply of this.#replies.values()) reply({ error: "it has ended" });
  }

  #take(line: Record<string, JsonValue>): void {
    if (typeof line.id === "number") {
      this.#replies.get(line.id)?.(line);
      this.#replies.delete(line.id);
      return;
    }
    this.events.push(line as PeerEvent);
    for (const wake of this.#waiting) wake();
  }

  /** Ends the peer; fails when it has met something that the existing network does not take. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#output;
    assert.equal((await within("the end of the foreign peer", this.#child.status)).code, 0);
    assert.deepEqual(this.events.filter(({ event }) => event === "violation"), []);
  }
}

function payloadOf(envelope: EnvelopeJson): [kind: string, payload: Record<string, JsonValue>] {
  return Object.entries(envelope).find(([name]) => name in TYPES) ?? ["", {}];
}
