import type { Stream, StreamCloseEvent, StreamMessageEvent } from "@libp2p/interface";
import { CodedError } from "../../core/errors.ts";
import type { RelayLimits } from "./relay_limits.ts";

/** 24 days: a longer timer would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What the bytes of a circuit are reported to. */
export interface CircuitOptions {
  readonly limits: Pick<RelayLimits, "circuitDurationMs" | "circuitBytes">;
  onBytes(count: number): void;
  /** The circuit is over; with the limit that ended it, if one did. Called once. */
  onEnd(limit: "circuitDurationMs" | "circuitBytes" | undefined): void;
}

/**
 * Two streams joined to one circuit, bytes both ways. Who reads slowly slows who writes: what is read of one is not more than
 * the other takes. Ends with both streams, or when a limit is reached.
 */
export class Circuit {
  readonly #ends: readonly [Stream, Stream];
  readonly #options: CircuitOptions;
  readonly #timer: ReturnType<typeof setTimeout>;
  #open = 2;
  #limit: "circuitDurationMs" | "circuitBytes" | undefined;

  constructor(ends: readonly [Stream, Stream], options: CircuitOptions) {
    this.#ends = ends;
    this.#options = options;
    const { circuitDurationMs } = options.limits;
    const timeoutMs = Math.min(circuitDurationMs, LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => this.#exceed("circuitDurationMs"), timeoutMs);
    this.#forward(ends[0], ends[1]);
    this.#forward(ends[1], ends[0]);
  }

  /** Ends it at once, both peers see a reset. */
  abort(reason: Error): void {
    for (const end of this.#ends) end.abort(reason);
  }

  #forward(from: Stream, to: Stream): void {
    let leftBytes = this.#options.limits.circuitBytes;
    const onMessage = ({ data }: StreamMessageEvent) => {
      leftBytes -= data.byteLength;
      if (leftBytes < 0) return this.#exceed("circuitBytes");
      this.#options.onBytes(data.byteLength);
      try {
        if (!to.send(data) && from.readStatus === "readable") from.pause();
      } catch (error) {
        this.abort(error instanceof Error ? error : new Error(String(error)));
      }
    };
    const onDrain = () => {
      if (from.readStatus === "paused") from.resume();
    };
    const onRemoteEnd = () => {
      // It takes what was sent before; that the other side has gone meanwhile is told by its own event.
      to.close().catch(() => {});
    };
    const onClose = ({ error }: StreamCloseEvent) => {
      from.removeEventListener("message", onMessage);
      to.removeEventListener("drain", onDrain);
      if (error !== undefined || from.remoteWriteStatus !== "closed") {
        to.abort(error ?? new CodedError("unavailable", "The other side of the circuit is gone"));
      }
      if (--this.#open === 0) this.#end();
    };
    from.addEventListener("message", onMessage);
    from.addEventListener("remoteCloseWrite", onRemoteEnd, { once: true });
    from.addEventListener("close", onClose, { once: true });
    to.addEventListener("drain", onDrain);
    if (from.remoteWriteStatus === "closed") onRemoteEnd();
    if (from.status !== "open" && from.status !== "closing") onClose({} as StreamCloseEvent);
  }

  #exceed(limit: "circuitDurationMs" | "circuitBytes"): void {
    this.#limit ??= limit;
    const value = this.#options.limits[limit];
    this.abort(
      new CodedError("resource_exhausted", `The circuit has reached the limit ${limit} of ${value}`),
    );
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#options.onEnd(this.#limit);
  }
}
