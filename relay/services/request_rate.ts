import { addressBlock } from "../../core/address_block.ts";
import { CodedError } from "../../core/errors.ts";
import type { Caller } from "../registry/admission.ts";

/** Callers whose calls are counted; the ones not heard of for longest are forgotten beyond it. */
const MAX_CALLERS = 10_000;
/** Seconds' worth of calls that may come at once. */
const BURST_SECONDS = 10;

/** Calls per second and caller. Callers on this machine are not counted. */
export interface RequestRateOptions {
  /** Registrations, renewals and removals: each may cost a signature check and a write. Default 20. */
  changesPerSecond: number;
  /** Default 100. */
  queriesPerSecond: number;
}

interface Bucket {
  left: number;
  atMs: number;
}

interface Rate {
  readonly kind: "changes" | "queries";
  readonly perSecond: number;
  /** How many of them a call stands for. */
  readonly count: number;
}

/** Keeps one caller, by its network address, from taking the relay for itself. */
export class RequestRate {
  readonly #buckets = new Map<string, Bucket>();

  constructor(readonly options: RequestRateOptions, readonly now: () => number) {}

  /** Counts a change, or as many as a call stands for. Throws `resource_exhausted` when they come too fast. */
  takeChange(caller: Caller, count = 1): void {
    this.#take(caller, { kind: "changes", perSecond: this.options.changesPerSecond, count });
  }

  /** Counts a query. Throws as {@link takeChange}. */
  takeQuery(caller: Caller): void {
    this.#take(caller, { kind: "queries", perSecond: this.options.queriesPerSecond, count: 1 });
  }

  #take({ host }: Caller, { kind, perSecond, count }: Rate): void {
    if (host === "" || host === "::1" || host.startsWith("127.")) return;
    const block = addressBlock(host);
    const key = `${kind} ${block}`;
    const nowMs = this.now();
    const bucket = this.#buckets.get(key) ?? { left: perSecond * BURST_SECONDS, atMs: nowMs };
    const regained = Math.max(0, nowMs - bucket.atMs) / 1000 * perSecond;
    const left = Math.min(perSecond * BURST_SECONDS, bucket.left + regained) - count;
    if (left < 0) {
      throw new CodedError(
        "resource_exhausted",
        `Too many ${kind} came from ${block}: the limit is ${perSecond} a second (--registry-${kind}-per-second); wait`,
      );
    }
    this.#buckets.delete(key);
    this.#buckets.set(key, { left, atMs: nowMs });
    if (this.#buckets.size <= MAX_CALLERS) return;
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}
