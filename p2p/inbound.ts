import type { Connection, Libp2p, Stream } from "@libp2p/interface";
import { CodedError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { ByteBudget } from "./byte_budget.ts";
import {
  A2A_PROTOCOL,
  ARTIFACT_STREAM_PROTOCOL,
  CARD_PROTOCOL,
  LANE_PROTOCOL,
  LINGER_MS,
  REGISTRY_PROTOCOL,
} from "./constants.ts";
import type { DeadlineOptions } from "./deadline.ts";
import { type FrameChannel, StreamFrameChannel } from "./frame_channel.ts";
import type { P2pLimits } from "./limits.ts";
import { PING_PROTOCOL, servePing } from "./ping.ts";
import { closeStream, linger, readFrames, writeFrame } from "./stream_io.ts";

/** What is done with what peers send. */
export interface FrameHandlers {
  /**
   * One frame of an inbound A2A stream, awaited before the next one of that stream is read: a slow handler holds its
   * peer back. A throw is logged and ends the stream.
   */
  onA2aFrame(peerId: string, frame: Uint8Array): Promise<void>;
  /** A peer offered its card (maybe 0 bytes); answers our card's bytes, or undefined when we have none. */
  onCardFrame(peerId: string, frame: Uint8Array): Promise<Uint8Array | undefined>;
  /**
   * A peer opened a channel of one of the host's `channelProtocols`; it is closed when this resolves. A throw is logged and
   * resets it.
   */
  onChannel?(channel: FrameChannel, protocol: string): Promise<void>;
}

/** What inbound streams work with. */
export interface InboundDeps {
  libp2p: Libp2p;
  handlers: FrameHandlers;
  /** Protocols of which peers may open channels. */
  channelProtocols: readonly string[];
  budget: ByteBudget;
  limits: P2pLimits;
  /** Is told of each stream. */
  onStream(peerId: string, stream: Stream): void;
  /** Ends every stream when it fires. */
  signal: AbortSignal;
  logger: Logger;
}

type Serve = (stream: Stream, peerId: string) => Promise<void>;

/** A handler of ours failed, as opposed to the peer or the network. */
class HandlerError extends Error {
  override name = "HandlerError";
}

/** Serves the streams that peers open, each peer at most `inboundStreamsPerPeer` at once per protocol. */
export class InboundStreams {
  readonly #running = new Set<Promise<void>>();
  readonly #openByPeer = new Map<string, number>();

  constructor(readonly deps: InboundDeps) {}

  /** Registers the protocols. */
  async register(): Promise<void> {
    await this.#handle(A2A_PROTOCOL, (stream, peerId) => this.#serveA2a(stream, peerId));
    await this.#handle(CARD_PROTOCOL, (stream, peerId) => this.#serveCard(stream, peerId));
    await this.#handle(PING_PROTOCOL, (stream) => this.#servePing(stream));
    for (const protocol of this.deps.channelProtocols) {
      await this.#handle(protocol, (stream, peerId) => this.#serveChannel(stream, peerId));
    }
  }

  /** Resolves when no stream is served and no handler runs any more. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #handle(protocol: string, serve: Serve): Promise<void> {
    const { outboundStreamsPerPeer } = this.deps.limits;
    const handler = (stream: Stream, connection: Connection) => this.#track(stream, connection, serve);
    return this.deps.libp2p.handle(protocol, handler, {
      maxInboundStreams: this.#maxStreams(protocol),
      maxOutboundStreams: outboundStreamsPerPeer,
      runOnLimitedConnection: true,
    });
  }

  #maxStreams(protocol: string): number {
    const { inboundStreamsPerPeer, inboundLanesPerPeer, inboundArtifactStreamsPerPeer } = this.deps.limits;
    if (protocol === LANE_PROTOCOL || protocol === REGISTRY_PROTOCOL) return inboundLanesPerPeer;
    return protocol === ARTIFACT_STREAM_PROTOCOL ? inboundArtifactStreamsPerPeer : inboundStreamsPerPeer;
  }

  #track(stream: Stream, connection: Connection, serve: Serve): Promise<void> {
    const peerId = connection.remotePeer.toString();
    this.deps.onStream(peerId, stream);
    const task = this.#guard(stream, peerId, serve);
    this.#running.add(task);
    return task.finally(() => this.#running.delete(task));
  }

  /** libp2p's bound is per connection; this one is per peer, however many connections it opens. */
  async #guard(stream: Stream, peerId: string, serve: Serve): Promise<void> {
    const { logger } = this.deps;
    const key = `${stream.protocol} ${peerId}`;
    const open = this.#openByPeer.get(key) ?? 0;
    if (open >= this.#maxStreams(stream.protocol)) {
      logger.debug("Refused a stream of a peer that has too many open", {
        peerId,
        protocol: stream.protocol,
      });
      stream.abort(new CodedError("resource_exhausted", `${open} streams of this peer are open`));
      return;
    }
    this.#openByPeer.set(key, open + 1);
    try {
      await serve(stream, peerId);
      linger(stream, LINGER_MS);
    } catch (error) {
      const fields = { peerId, protocol: stream.protocol, error };
      if (error instanceof HandlerError) {
        logger.warn("Could not handle a frame", { ...fields, error: error.cause });
      } else logger.debug("An inbound stream failed", fields);
      stream.abort(error instanceof Error ? error : new Error(String(error)));
    } finally {
      const left = (this.#openByPeer.get(key) ?? 1) - 1;
      if (left > 0) this.#openByPeer.set(key, left);
      else this.#openByPeer.delete(key);
    }
  }

  async #serveA2a(stream: Stream, peerId: string): Promise<void> {
    for await (const frame of this.#frames(stream, peerId)) {
      await calling(() => this.deps.handlers.onA2aFrame(peerId, frame));
    }
    await closeStream(stream, this.#deadline);
  }

  async #serveCard(stream: Stream, peerId: string): Promise<void> {
    for await (const frame of this.#frames(stream, peerId)) {
      const answer = await calling(() => this.deps.handlers.onCardFrame(peerId, frame));
      const { frameTimeoutMs, writeStallTimeoutMs } = this.deps.limits;
      if (answer !== undefined) {
        await writeFrame(stream, answer, {
          timeoutMs: frameTimeoutMs,
          stallTimeoutMs: writeStallTimeoutMs,
          signal: this.deps.signal,
        });
      }
      break;
    }
    await closeStream(stream, this.#deadline);
  }

  async #serveChannel(stream: Stream, peerId: string): Promise<void> {
    const { budget, limits, signal, handlers } = this.deps;
    const channel = new StreamFrameChannel(stream, { peerId, lease: budget.lease(peerId), signal }, limits);
    await calling(async () => await handlers.onChannel?.(channel, stream.protocol));
    await channel.finish();
  }

  async #servePing(stream: Stream): Promise<void> {
    await servePing(stream, this.#deadline);
    await closeStream(stream, this.#deadline);
  }

  get #deadline(): DeadlineOptions {
    return { timeoutMs: this.deps.limits.frameTimeoutMs, signal: this.deps.signal };
  }

  #frames(stream: Stream, peerId: string): AsyncGenerator<Uint8Array> {
    const { budget, limits, signal } = this.deps;
    return readFrames(stream, { timeoutMs: limits.frameTimeoutMs, lease: budget.lease(peerId), signal });
  }
}

async function calling<T>(handler: () => Promise<T>): Promise<T> {
  try {
    return await handler();
  } catch (cause) {
    throw new HandlerError("The handler failed", { cause });
  }
}
