/** First time for which an address that failed is doubtful; it doubles with each failure. */
const FIRST_MS = 1_000;
const LONGEST_MS = 60_000;
/** Addresses remembered; the one that failed longest ago is forgotten first. */
const MAX_ADDRESSES = 4096;

interface Failure {
  times: number;
  untilMs: number;
}

/** Remembers which addresses did not answer lately, so that they are not waited for. */
export class DialBackoff {
  readonly #failures = new Map<string, Failure>();

  /** `now` is in milliseconds of a clock that never goes back. Default `performance.now`. */
  constructor(readonly now: () => number = () => performance.now()) {}

  /** Whether `address` failed so lately that another try is likely to be wasted. */
  isDoubtful(address: string): boolean {
    const failure = this.#failures.get(address);
    return failure !== undefined && this.now() < failure.untilMs;
  }

  /** Notes how a dial of `address` ended. */
  note(address: string, ended: "connected" | "failed"): void {
    const times = (this.#failures.get(address)?.times ?? 0) + 1;
    this.#failures.delete(address);
    if (ended === "connected") return;
    const pauseMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** (times - 1));
    this.#failures.set(address, { times, untilMs: this.now() + pauseMs });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > MAX_ADDRESSES && oldest !== undefined) this.#failures.delete(oldest);
  }

  /** Forgets all of them. */
  clear(): void {
    this.#failures.clear();
  }
}
