import type { Clock } from "../../core/clock.ts";
import type { Discovery } from "./model.ts";

/** How long answers are kept, in milliseconds. */
export interface AnswerCacheOptions {
  /** Those that name agents. */
  ttlMs: number;
  /** Those that name none. */
  emptyTtlMs: number;
}

/** An answer with a source missing is asked for again after this time. */
const PARTIAL_TTL_MS = 2_000;
const MAX_ANSWERS = 1_000;
/** Agents in all answers. */
const MAX_AGENTS = 20_000;

interface Kept {
  readonly answer: Discovery;
  readonly untilMs: number;
}

/** Answers of registries and the like, the ones used last; an answer that is being looked for is looked for once. */
export class AnswerCache {
  readonly #clock: Clock;
  readonly #options: AnswerCacheOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #underWay = new Map<string, Promise<Discovery>>();
  #agents = 0;

  constructor(clock: Clock, options: AnswerCacheOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  /** The answer at hand, else that of `look`. */
  async get(key: string, look: () => Promise<Discovery>): Promise<Discovery> {
    const kept = this.#kept.get(key);
    if (kept !== undefined && this.#clock.now() < kept.untilMs) {
      this.#kept.delete(key);
      this.#kept.set(key, kept);
      return kept.answer;
    }
    const underWay = this.#underWay.get(key) ?? look().then((answer) => {
      if (this.#underWay.get(key) === looking) this.#keep(key, answer);
      return answer;
    }).finally(() => {
      if (this.#underWay.get(key) === looking) this.#underWay.delete(key);
    });
    const looking = underWay;
    this.#underWay.set(key, looking);
    return await looking;
  }

  /** The peer is not as the answers say: those that name it are looked for again. */
  doubt(peerId: string): void {
    for (const [key, { answer }] of this.#kept) {
      if (answer.agents.some((agent) => agent.peerId === peerId)) this.#drop(key);
    }
  }

  /** Everything may be different: nothing at hand or under way is used any more. */
  clear(): void {
    this.#kept.clear();
    this.#underWay.clear();
    this.#agents = 0;
  }

  /** Answers at hand. */
  get size(): number {
    return this.#kept.size;
  }

  #keep(key: string, answer: Discovery): void {
    this.#drop(key);
    const { ttlMs, emptyTtlMs } = this.#options;
    const isEmpty = answer.agents.length === 0;
    if (isEmpty && answer.failures.length > 0) return;
    const usualMs = isEmpty ? emptyTtlMs : ttlMs;
    const keptMs = answer.failures.length > 0 ? Math.min(usualMs, PARTIAL_TTL_MS) : usualMs;
    if (keptMs <= 0 || answer.agents.length > MAX_AGENTS) return;
    this.#kept.set(key, { answer, untilMs: this.#clock.now() + keptMs });
    this.#agents += answer.agents.length;
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MAX_ANSWERS && this.#agents <= MAX_AGENTS) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    this.#agents -= this.#kept.get(key)?.answer.agents.length ?? 0;
    this.#kept.delete(key);
  }
}
