import { type Clock, systemClock } from "../core/clock.ts";
import type { Config } from "../core/config.ts";
import { CodedError, toCodedError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { Node } from "../sdk/mod.ts";
import { isAnswered } from "./endpoint.ts";

/** What keeps a daemon: real ones, or fakes in tests. */
export interface KeptNodeDeps {
  /** Whether a daemon answers at the address. */
  readonly isAnswered: (address: string) => Promise<boolean>;
  /** Starts a daemon in this process. Throws `aborted` when another process has the home. */
  readonly startDaemon: (config: Config, logger: Logger) => Promise<AsyncDisposable>;
  /** A node at the daemon of the address. */
  readonly openNode: (address: string) => Promise<Node>;
  readonly clock: Clock;
}

/** How often is looked whether the daemon is still there, in milliseconds. */
const LOOK_MS = 2_000;
/** How long a home that another process is starting on is waited for, in milliseconds. */
const BUSY_LIMIT_MS = 15_000;
const BUSY_POLL_MS = 200;

/**
 * A node at the daemon of a home for as long as the program runs: it joins the daemon that runs there, else runs one in this
 * process, which others can join; when the one it has joined ends, it runs its own. Disposing it stops what it started.
 */
export class KeptNode implements AsyncDisposable {
  readonly #deps: KeptNodeDeps;
  readonly #config: Config;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  #daemon: AsyncDisposable | undefined;
  #ensuring: Promise<void> | undefined;
  #node: Promise<Node> | undefined;
  #looking: Promise<void> | undefined;

  constructor(config: Config, logger: Logger, deps: KeptNodeDeps = systemDeps) {
    this.#config = config;
    this.#logger = logger;
    this.#deps = deps;
  }

  /** The node, once a daemon is there. Throws what starting a daemon throws. */
  async node(): Promise<Node> {
    if (this.#stop.signal.aborted) throw new CodedError("cancelled", "The program is ending");
    await this.#ensureDaemon();
    this.#looking ??= this.#look();
    const opening = this.#node ??= this.#deps.openNode(this.#config.grpcListen);
    try {
      return await opening;
    } catch (error) {
      if (this.#node === opening) this.#node = undefined; // the next call tries anew
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new CodedError("cancelled", "The program is ending"));
    await this.#looking;
    await this.#ensuring?.catch(() => {}); // whoever asked for the node was told
    const node = await this.#node?.catch(() => undefined);
    await node?.stop();
    await this.#daemon?.[Symbol.asyncDispose]();
  }

  /** A daemon that dies is replaced also while calls are waiting for it. */
  async #look(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#deps.clock.sleep(LOOK_MS, signal);
        await this.#ensureDaemon();
      } catch (error) {
        if (!signal.aborted) this.#logger.warn("There is no daemon", { error: toCodedError(error) });
      }
    }
  }

  #ensureDaemon(): Promise<void> {
    return this.#ensuring ??= this.#findOrStart().finally(() => this.#ensuring = undefined);
  }

  async #findOrStart(): Promise<void> {
    const { isAnswered, startDaemon, clock } = this.#deps;
    const giveUpAtMs = clock.now() + BUSY_LIMIT_MS;
    while (this.#daemon === undefined && !await isAnswered(this.#config.grpcListen)) {
      try {
        this.#daemon = await startDaemon(this.#config, this.#logger);
      } catch (error) {
        if (toCodedError(error).code !== "aborted" || clock.now() >= giveUpAtMs) throw error;
        await clock.sleep(BUSY_POLL_MS, this.#stop.signal);
      }
    }
  }
}

const systemDeps: KeptNodeDeps = {
  isAnswered,
  startDaemon: async (config, logger) => {
    const { startDaemon } = await import("../daemon/mod.ts");
    return await startDaemon(config, { logger });
  },
  openNode: async (address) => {
    const { Node } = await import("../sdk/mod.ts");
    const node = new Node({ daemonAddr: address });
    await node.start();
    return node;
  },
  clock: systemClock,
};
