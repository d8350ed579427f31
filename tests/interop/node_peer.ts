/**
 * A peer of the existing network in miniature, to test against: it shares no code with ours but the generated messages.
 * It runs under Node, takes commands as JSON lines on standard input, answers and tells what happens to it as JSON lines
 * on standard output, and ends with its input. `foreign_peer.ts` is the other end.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { create, fromBinary, fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { identify } from "@libp2p/identify";
import type { Connection, Libp2p, Stream } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import {
  type A2AEnvelope,
  A2AEnvelopeSchema,
  EnvelopeType,
  TaskStatus,
} from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { type AgentCard, AgentCardSchema } from "../../gen/agentanycast/v1/agent_card_pb.ts";
import { StrictTasks, type Verdict } from "./strict_tasks.ts";

const A2A = "/agentanycast/a2a/1.0";
const CARD = "/agentanycast/card/1.0";
const HEADER_BYTES = 4;
const MAX_FRAME_BYTES = 16_777_216;
/** Envelope ids remembered; the oldest goes first. */
const MAX_SEEN = 1024;

type Command = Record<string, JsonValue> & { id: number; command: string };

/** The peer: its cards, its tasks and what it has seen. */
class NodePeer {
  readonly #libp2p: Libp2p;
  readonly #tasks = new StrictTasks();
  readonly #seen = new Set<string>();
  readonly #held = new Set<string>();
  readonly #owed: { peerId: string; envelopeId: string; taskId: string }[] = [];
  #card: AgentCard | undefined;
  #stopping = false;

  constructor(libp2p: Libp2p) {
    this.#libp2p = libp2p;
  }

  async start(): Promise<void> {
    await this.#libp2p.handle(A2A, (stream, connection) => this.#serveA2a(stream, connection));
    await this.#libp2p.handle(CARD, (stream, connection) => this.#serveCard(stream, connection));
    this.#libp2p.addEventListener("connection:open", ({ detail: connection }) => {
      tell({ event: "connected", peerId: connection.remotePeer.toString() });
      if (this.#card === undefined) return;
      this.#offerCard(connection).catch((error) => tell({ event: "card_failed", reason: String(error) }));
    });
    await this.#libp2p.start();
  }

  /** Hangs up, also in the middle of a stream. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#libp2p.stop();
  }

  /** Does what a command says. */
  async run(command: Command): Promise<JsonValue> {
    const text = (name: string) => String(command[name]);
    switch (command.command) {
      case "info":
        return {
          peerId: this.#libp2p.peerId.toString(),
          addresses: this.#libp2p.getMultiaddrs().map(String),
          runtime: process.version,
        };
      case "set_card":
        this.#card = fromJson(AgentCardSchema, command.card ?? null);
        return null;
      case "dial":
        return (await this.#libp2p.dial(multiaddr(text("address")))).remotePeer.toString();
      case "send":
        return await this.#sendCommand(text("to"), fromJson(A2AEnvelopeSchema, command.envelope ?? null));
      case "send_bytes":
        return await this.#sendBytes(text("to"), command);
      case "status":
        return this.#tasks.statusOf(text("taskId")) ?? null;
      case "hold_acks":
        this.#held.add(text("taskId"));
        return null;
      case "release_acks":
        return await this.#releaseAcks(text("taskId"));
      default:
        throw new Error(`No such command: ${command.command}`);
    }
  }

  async #sendCommand(to: string, envelope: A2AEnvelope): Promise<null> {
    if (envelope.payload.case === "sendTask") this.#tasks.submit(envelope.payload.value.taskId);
    await this.#send(to, envelope);
    return null;
  }

  /** Writes bytes as they are, then `fill` zeros; answers how the stream ended. */
  async #sendBytes(to: string, { base64, fill = 0 }: Command): Promise<string> {
    const stream = await this.#open(to, A2A);
    const ended = new Promise<string>((resolve) => {
      stream.addEventListener("close", () => resolve(stream.status), { once: true });
    });
    try {
      await write(stream, Buffer.from(String(base64), "base64"));
      for (let left = Number(fill); left > 0; left -= 65_536) {
        await write(stream, new Uint8Array(Math.min(left, 65_536)));
      }
      await stream.close();
    } catch {
      // A reset in the middle of the bytes: `ended` has it.
    }
    return await ended;
  }

  async #serveA2a(stream: Stream, connection: Connection): Promise<void> {
    const peerId = connection.remotePeer.toString();
    try {
      for await (const frame of readFrames(stream)) await this.#receive(peerId, frame);
      await stream.close();
    } catch (error) {
      if (!this.#stopping) tell({ event: "violation", what: `an A2A stream failed: ${error}` });
      stream.abort(error as Error);
    }
  }

  /** Handles one envelope, then acknowledges it, whatever came of it; neither for an ACK nor for a duplicate. */
  async #receive(peerId: string, frame: Uint8Array): Promise<void> {
    const envelope = fromBinary(A2AEnvelopeSchema, frame);
    const { envelopeId, payload } = envelope;
    for (const fault of faultsOf(envelope)) tell({ event: "violation", what: fault });
    if (payload.case === "ack") {
      return tell({ event: "ack", from: peerId, of: payload.value.acknowledgedEnvelopeId });
    }
    if (this.#seen.has(envelopeId)) return tell({ event: "duplicate", from: peerId, envelopeId });
    this.#remember(envelopeId);
    const verdict = this.#apply(envelope);
    tell({ event: "envelope", from: peerId, verdict, envelope: toJson(A2AEnvelopeSchema, envelope) });
    const taskId = payload.value !== undefined && "taskId" in payload.value ? payload.value.taskId : "";
    if (this.#held.has(taskId)) this.#owed.push({ peerId, envelopeId, taskId });
    else await this.#acknowledge(peerId, envelopeId);
  }

  #apply({ type, payload }: A2AEnvelope): Verdict {
    switch (payload.case) {
      case "sendTask":
        return this.#tasks.submit(payload.value.taskId);
      case "taskStatusUpdate":
        return this.#tasks.move(payload.value.taskId, payload.value.status);
      case "taskComplete":
        return this.#tasks.move(payload.value.taskId, TaskStatus.COMPLETED);
      case "taskFail":
        return this.#tasks.move(payload.value.taskId, TaskStatus.FAILED);
      case "taskCancel":
        return this.#tasks.move(payload.value.taskId, TaskStatus.CANCELED);
      default:
        tell({ event: "violation", what: `an envelope of type ${EnvelopeType[type]}` });
        return "illegal";
    }
  }

  #remember(envelopeId: string): void {
    const [oldest] = this.#seen;
    if (this.#seen.size >= MAX_SEEN && oldest !== undefined) this.#seen.delete(oldest);
    this.#seen.add(envelopeId);
  }

  async #acknowledge(peerId: string, envelopeId: string): Promise<void> {
    await this.#send(
      peerId,
      create(A2AEnvelopeSchema, {
        envelopeId: crypto.randomUUID(),
        type: EnvelopeType.ACK,
        timestamp: timestampNow(),
        payload: {
          case: "ack",
          value: { $typeName: "agentanycast.v1.AckPayload", acknowledgedEnvelopeId: envelopeId },
        },
      }),
    );
    tell({ event: "acknowledged", envelopeId });
  }

  async #releaseAcks(taskId: string): Promise<number> {
    this.#held.delete(taskId);
    const due = this.#owed.filter((owed) => owed.taskId === taskId);
    for (const { peerId, envelopeId } of due) await this.#acknowledge(peerId, envelopeId);
    return due.length;
  }

  /** One envelope on a stream of its own, on which nothing may come back. */
  async #send(to: string, envelope: A2AEnvelope): Promise<void> {
    const stream = await this.#open(to, A2A);
    stream.addEventListener("message", () => {
      tell({ event: "violation", what: "bytes came back on an A2A stream" });
    });
    await write(stream, frameOf(toBinary(A2AEnvelopeSchema, envelope)));
    await stream.close();
  }

  async #open(to: string, protocol: string): Promise<Stream> {
    const connection = this.#libp2p.getConnections().find(({ remotePeer }) => remotePeer.toString() === to);
    if (connection === undefined) throw new Error(`Not connected to ${to}`);
    return await connection.newStream(protocol);
  }

  async #offerCard(connection: Connection): Promise<void> {
    const stream = await connection.newStream(CARD);
    await write(stream, frameOf(this.#cardBytes()));
    for await (const frame of readFrames(stream)) {
      this.#takeCard(connection, { frame, way: "answer" });
      break;
    }
    await stream.close();
  }

  /** Reads first, then answers with its own card; without one it just closes. */
  async #serveCard(stream: Stream, connection: Connection): Promise<void> {
    for await (const frame of readFrames(stream)) {
      this.#takeCard(connection, { frame, way: "offer" });
      break;
    }
    if (this.#card !== undefined) await write(stream, frameOf(this.#cardBytes()));
    await stream.close();
  }

  #cardBytes(): Uint8Array {
    return toBinary(AgentCardSchema, create(AgentCardSchema, this.#card ?? {}));
  }

  #takeCard(connection: Connection, { frame, way }: { frame: Uint8Array; way: "offer" | "answer" }): void {
    const card = toJson(AgentCardSchema, fromBinary(AgentCardSchema, frame));
    tell({ event: "card", from: connection.remotePeer.toString(), way, bytes: frame.length, card });
  }
}

/** What the existing network's peers would stumble over. */
function faultsOf({ envelopeId, type, timestamp, payload }: A2AEnvelope): string[] {
  const expected: Record<string, EnvelopeType> = {
    sendTask: EnvelopeType.SEND_TASK,
    taskStatusUpdate: EnvelopeType.TASK_STATUS_UPDATE,
    taskComplete: EnvelopeType.TASK_COMPLETE,
    taskFail: EnvelopeType.TASK_FAIL,
    taskCancel: EnvelopeType.TASK_CANCEL,
    ack: EnvelopeType.ACK,
  };
  return [
    ...(envelopeId === "" ? ["an envelope without an id"] : []),
    ...(timestamp === undefined ? ["an envelope without a timestamp"] : []),
    ...(expected[payload.case ?? ""] === type
      ? []
      : [`type ${EnvelopeType[type]} with payload ${payload.case}`]),
  ];
}

function frameOf(body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(HEADER_BYTES + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, HEADER_BYTES);
  return frame;
}

async function write(stream: Stream, bytes: Uint8Array): Promise<void> {
  if (!stream.send(bytes)) await stream.onDrain();
}

/** The frames of a stream until its end. Throws for a frame that is too long or cut off. */
async function* readFrames(stream: Stream): AsyncGenerator<Uint8Array> {
  let buffer: Uint8Array = new Uint8Array();
  for await (const chunk of stream) {
    buffer = Buffer.concat([buffer, chunk.subarray()]);
    while (buffer.length >= HEADER_BYTES) {
      const length = new DataView(buffer.buffer, buffer.byteOffset).getUint32(0);
      if (length > MAX_FRAME_BYTES) throw new Error(`a frame of ${length} bytes`);
      if (buffer.length < HEADER_BYTES + length) break;
      yield buffer.subarray(HEADER_BYTES, HEADER_BYTES + length);
      buffer = buffer.subarray(HEADER_BYTES + length);
    }
  }
  if (buffer.length > 0) throw new Error(`a frame was cut off after ${buffer.length} bytes`);
}

function tell(line: Record<string, JsonValue>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const peer = new NodePeer(
  await createLibp2p({
    start: false,
    addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
  }),
);
await peer.start();
tell({ event: "ready" });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as Command;
  peer.run(command).then(
    (result) => tell({ id: command.id, result }),
    (error) => tell({ id: command.id, error: String(error) }),
  );
}
await peer.stop();
process.exit(0);
