import { type Clock, systemClock } from "../../core/clock.ts";
import { errorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { AnswerCache, type AnswerCacheOptions } from "./answer_cache.ts";
import { mergeAgents } from "./merge_agents.ts";
import type { DiscoveredAgent, DiscoverQuery, Discovery, DiscoveryProvider } from "./model.ts";
import { fits, type ResolvedQuery, resolveQuery } from "./query.ts";

export interface DirectoryDeps {
  providers: readonly DiscoveryProvider[];
  /** This node, which does not find itself. */
  peerId: string;
  logger: Logger;
  clock?: Clock;
}

export interface DirectoryOptions extends AnswerCacheOptions {
  /** How long a source may take, in milliseconds. Default 3,000. */
  timeoutMs?: number;
}

/** How an answer is wanted. */
export interface DirectoryCall {
  signal?: AbortSignal;
  /** Once there is an agent, sources that take long are not waited for. Default false: everybody is. */
  hurry?: boolean;
  /** Nothing that is at hand is used. Default false. */
  fresh?: boolean;
}

/** How long the others have in a hurry once a source has named an agent. */
const HURRY_MS = 250;

type Answer = { readonly agents: readonly DiscoveredAgent[] } | {
  readonly source: string;
  readonly reason: string;
};

/** Everything that is known about agents: all sources asked at once; one that fails or hangs takes nothing from the others. */
export class Directory {
  readonly #deps: DirectoryDeps;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #cache: AnswerCache;

  constructor(deps: DirectoryDeps, options: DirectoryOptions) {
    this.#deps = deps;
    this.#clock = deps.clock ?? systemClock;
    this.#timeoutMs = options.timeoutMs ?? 3_000;
    this.#cache = new AnswerCache(this.#clock, options);
  }

  /** The agents that fit. @throws CodedError `invalid_argument`; `cancelled` by the signal. */
  async discover(query: DiscoverQuery, call: DirectoryCall = {}): Promise<Discovery> {
    const wanted = resolveQuery(query);
    call.signal?.throwIfAborted();
    const [near, far] = [true, false].map((isLocal) =>
      this.#deps.providers.filter((provider) => provider.isLocal === isLocal)
    ) as [DiscoveryProvider[], DiscoveryProvider[]];
    if (call.fresh) this.#cache.clear();
    const key = JSON.stringify([wanted, call.hurry ?? false]);
    const close = await this.#ask(near, wanted, call);
    const hasFound = close.agents.length > 0;
    const answers = [
      close,
      await this.#cache.get(key, () => this.#ask(far, wanted, { ...call, hasFound, signal: undefined })),
    ];
    call.signal?.throwIfAborted();
    return {
      agents: mergeAgents(answers.flatMap(({ agents }) => agents)).slice(0, wanted.limit),
      failures: answers.flatMap(({ failures }) => failures),
    };
  }

  /** An agent is not there or does not do what is said of it: what is at hand about it is looked up again. */
  doubt(peerId: string): void {
    this.#cache.doubt(peerId);
  }

  async #ask(
    providers: readonly DiscoveryProvider[],
    query: ResolvedQuery,
    { signal, hurry = false, hasFound = false }: Omit<DirectoryCall, "signal"> & {
      signal?: AbortSignal | undefined;
      hasFound?: boolean;
    },
  ): Promise<Discovery> {
    const { logger } = this.#deps;
    const over = new AbortController();
    const whole = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
    let isFound = () => {};
    const found = new Promise<void>((resolve) => isFound = resolve);
    if (hasFound) isFound();
    const asking = providers.map(async (provider): Promise<Answer> => {
      try {
        const all = await this.#within(provider.find(query, { signal: whole }), {
          found,
          hurry,
          signal: whole,
        });
        const agents = all.filter((agent) => agent.peerId !== this.#deps.peerId && fits(agent, query));
        if (agents.length > 0) isFound();
        return { agents };
      } catch (error) {
        logger.debug("A source of agents does not answer", { source: provider.name, error });
        return { source: provider.name, reason: errorMessage(error) };
      }
    });
    const answers = await Promise.all(asking);
    over.abort();
    return {
      agents: mergeAgents(answers.flatMap((answer) => "agents" in answer ? answer.agents : [])),
      failures: answers.flatMap((answer) => "agents" in answer ? [] : [answer]),
    };
  }

  /** The answer when it comes in time. */
  async #within<T>(
    answer: Promise<T>,
    { found, hurry, signal }: { found: Promise<void>; hurry: boolean; signal: AbortSignal },
  ): Promise<T> {
    const over = new AbortController();
    const ended = AbortSignal.any([over.signal, signal]);
    const late = (ms: number) =>
      this.#clock.sleep(ms, ended).then((): never => {
        throw new Error(`no answer within ${ms / 1000} s`);
      });
    const limits = [late(this.#timeoutMs), ...hurry ? [found.then(() => late(HURRY_MS))] : []];
    try {
      return await Promise.race([answer, ...limits]);
    } finally {
      over.abort();
      for (const one of [answer, ...limits]) {
        one.catch(() => {
          // It lost the race.
        });
      }
    }
  }
}
