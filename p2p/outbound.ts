import type { Connection, Stream } from "@libp2p/interface";
import { CodedError, errorMessage } from "../core/errors.ts";
import type { ByteBudget } from "./byte_budget.ts";
import { A2A_PROTOCOL, CARD_PROTOCOL, LINGER_MS, SMALL_FRAME_BYTES } from "./constants.ts";
import { withDeadline } from "./deadline.ts";
import { abortedBy, type Dialer } from "./dialer.ts";
import { type FrameChannel, StreamFrameChannel } from "./frame_channel.ts";
import { frameHeader } from "./frames.ts";
import type { P2pLimits } from "./limits.ts";
import { toPeerId } from "./peer_address.ts";
import type { PeerTable } from "./peers.ts";
import { PING_PROTOCOL, pingOver } from "./ping.ts";
import { KeptStreams } from "./kept_streams.ts";
import { linger, readFrames, sendFrame, writeFrame } from "./stream_io.ts";

/** What outbound streams work with. */
export interface OutboundDeps {
  peers: PeerTable;
  dialer: Dialer;
  budget: ByteBudget;
  limits: P2pLimits;
  /** Gives up every channel when it fires. */
  signal: AbortSignal;
}

/** Anything that waits can be given up by its caller. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
}

interface StreamTask extends CallOptions {
  peerId: string;
  protocol: string;
  /** What is being done, as in "Could not …". */
  purpose: string;
  /** Used instead of a new one. */
  stream?: Stream | undefined;
}

/** The calls that open a stream to a peer, dialing where it is known to be when it is not connected. */
export class OutboundStreams implements Disposable {
  readonly #kept = new KeptStreams();

  constructor(readonly deps: OutboundDeps) {}

  [Symbol.dispose](): void {
    this.#kept[Symbol.dispose]();
  }

  /** A better way to the peer is there: kept streams of the old one are not used any more. */
  leaveOldPath(peerId: string): void {
    this.#kept.leave(peerId);
  }

  async sendA2aFrame(peerId: string, frame: Uint8Array, { signal }: CallOptions = {}): Promise<void> {
    frameHeader(frame.length);
    const task = { peerId, signal, protocol: A2A_PROTOCOL, purpose: "send" };
    if (frame.length <= SMALL_FRAME_BYTES) {
      return await this.#onStream({ ...task, stream: this.#kept.take(peerId) }, async (stream) => {
        await sendFrame(stream, frame, this.#writing(signal));
        this.#kept.keep(peerId, stream);
      });
    }
    await this.#onStream(task, async (stream) => {
      await writeFrame(stream, frame, this.#writing(signal));
      await stream.closeRead();
      linger(stream, LINGER_MS);
    });
  }

  async exchangeCard(
    peerId: string,
    frame: Uint8Array,
    { signal }: CallOptions = {},
  ): Promise<Uint8Array | undefined> {
    frameHeader(frame.length);
    const task = { peerId, signal, protocol: CARD_PROTOCOL, purpose: "exchange cards" };
    return await this.#onStream(task, async (stream) => {
      const { budget, limits } = this.deps;
      await writeFrame(stream, frame, this.#writing(signal));
      const reading = { timeoutMs: limits.frameTimeoutMs, lease: budget.lease(peerId), signal };
      for await (const answer of readFrames(stream, reading)) {
        linger(stream, LINGER_MS);
        return answer;
      }
      linger(stream, LINGER_MS);
      return undefined;
    });
  }

  async openChannel(
    peerId: string,
    protocol: string,
    { signal }: CallOptions = {},
  ): Promise<FrameChannel> {
    const { budget, limits, signal: hostSignal } = this.deps;
    return await this.#onStream({ peerId, signal, protocol, purpose: "open a channel" }, (stream) => {
      const deps = { peerId, lease: budget.lease(peerId), signal: hostSignal };
      return Promise.resolve(new StreamFrameChannel(stream, deps, limits));
    });
  }

  async ping(peerId: string, { signal }: CallOptions = {}): Promise<number> {
    return await this.#onStream(
      { peerId, signal, protocol: PING_PROTOCOL, purpose: "ping" },
      async (stream) => {
        const roundTripMs = await pingOver(stream, { timeoutMs: this.deps.limits.dialTimeoutMs, signal });
        linger(stream, LINGER_MS);
        return roundTripMs;
      },
    );
  }

  /** One round trip over that connection, in milliseconds. */
  async pingOn(connection: Connection, signal: AbortSignal): Promise<number> {
    const options = { signal, runOnLimitedConnection: true };
    const stream = await connection.newStream(PING_PROTOCOL, options);
    try {
      return await pingOver(stream, { timeoutMs: this.deps.limits.dialTimeoutMs, signal });
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }

  #writing(signal: AbortSignal | undefined) {
    const { frameTimeoutMs: timeoutMs, writeStallTimeoutMs: stallTimeoutMs } = this.deps.limits;
    return { timeoutMs, stallTimeoutMs, signal };
  }

  /** Runs `work` on the task's stream or a new one, and resets it when that fails. */
  async #onStream<T>(task: StreamTask, work: (stream: Stream) => Promise<T>): Promise<T> {
    toPeerId(task.peerId);
    let { stream } = task;
    try {
      stream ??= await this.#open(task);
      return await work(stream);
    } catch (error) {
      stream?.abort(error instanceof Error ? error : new Error(String(error)));
      throw toStreamError(error, task);
    }
  }

  async #open({ peerId, protocol, signal }: StreamTask): Promise<Stream> {
    const { peers, dialer, limits } = this.deps;
    if (peers.connectionTo(peerId) === undefined) {
      await dialer.connect(peerId, [], { foundBy: "dial", signal });
    }
    const connection = peers.connectionTo(peerId);
    if (connection === undefined) throw new Error("the connection was lost");
    const stream = await withDeadline(
      { timeoutMs: limits.dialTimeoutMs, signal },
      (deadline) =>
        connection.newStream(protocol, {
          signal: deadline,
          runOnLimitedConnection: true,
          maxOutboundStreams: limits.outboundStreamsPerPeer,
        }),
    );
    peers.count(peerId, stream);
    return stream;
  }
}

function toStreamError(error: unknown, { peerId, protocol, purpose, signal }: StreamTask): CodedError {
  if (signal?.aborted) return abortedBy(signal);
  if (error instanceof CodedError) return error;
  const could = purpose === "send" ? `Could not send to ${peerId}` : `Could not ${purpose} with ${peerId}`;
  const name = error instanceof Error ? error.name : "";
  switch (name) {
    case "UnsupportedProtocolError":
      return new CodedError("unimplemented", `${could}: the peer does not speak ${protocol}`, {
        cause: error,
      });
    case "TooManyOutboundProtocolStreamsError":
      return new CodedError(
        "resource_exhausted",
        `${could}: too many streams to it are open; wait until the peer has taken them`,
        { cause: error },
      );
    case "TimeoutError":
      return new CodedError("deadline_exceeded", `${could}: ${errorMessage(error)}; try again`, {
        cause: error,
      });
    default:
      return new CodedError("unavailable", `${could}: ${errorMessage(error)}; try again`, { cause: error });
  }
}
