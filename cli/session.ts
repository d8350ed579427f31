import { join } from "node:path";
import { type Clock, systemClock } from "../core/clock.ts";
import type { Config } from "../core/config.ts";
import { CodedError, toCodedError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { Daemon } from "../daemon/mod.ts";
import { isAnswered } from "./endpoint.ts";
import type { AgentCard, Node } from "../sdk/mod.ts";

/** Access to a daemon for the length of a call. Disposing it ends the daemon that was started for it. */
export interface Session<N = Node> extends AsyncDisposable {
  readonly node: N;
  /** Where the daemon answers. */
  readonly address: string;
  /** Whether the daemon belongs to this call and ends with it. */
  readonly isOwn: boolean;
}

export interface SessionOptions {
  logger: Logger;
  signal: AbortSignal;
  /** Whether an own daemon takes part in the network; without, it only opens the store. Default true. */
  network?: boolean;
  /** Becomes the node's card, for good. Default: that stays as it is. */
  card?: AgentCard;
}

/** What opens a session: real daemons, or fakes in tests. */
export interface SessionDeps<N> {
  /** A client of the daemon at `address`; undefined when nobody answers there. Throws when it answers wrongly. */
  attach: (address: string, options?: SessionOptions) => Promise<(N & AsyncDisposable) | undefined>;
  /** Starts a daemon in this process. */
  start: (config: Config, logger: Logger) => Promise<AsyncDisposable & { readonly grpcAddress: string }>;
  clock: Clock;
}

/** How long a home that another call is using is waited for, in milliseconds. */
const BUSY_LIMIT_MS = 10_000;
const BUSY_POLL_MS = 200;
/** How long a daemon may take to say who it is, in milliseconds. */
const ANSWER_LIMIT_MS = 5_000;

/**
 * A session with the daemon that runs on the home, else with one of its own in this process. A home that another call is
 * using is waited for. Throws what starting a daemon throws.
 */
export async function openSession(config: Config, options: SessionOptions): Promise<Session> {
  return await openSessionWith({ attach, start: startQuietly, clock: systemClock }, config, options);
}

/** The daemon at `address`; undefined when nobody answers there. */
export async function findDaemon(address: string): Promise<Session | undefined> {
  const node = await attach(address);
  return node && toSession(node, address);
}

/** {@link findDaemon} that throws `unavailable` when none runs. */
export async function requireDaemon(config: Config): Promise<Session> {
  const session = await findDaemon(config.grpcListen);
  if (session !== undefined) return session;
  throw new CodedError(
    "unavailable",
    `No daemon runs on ${config.home}: start one with \`agentanycast daemon --home ${config.home}\``,
  );
}

/** {@link openSession} over `deps`. */
export async function openSessionWith<N>(
  deps: SessionDeps<N>,
  config: Config,
  options: SessionOptions,
): Promise<Session<N>> {
  const giveUpAtMs = deps.clock.now() + BUSY_LIMIT_MS;
  while (true) {
    const node = await deps.attach(config.grpcListen, options);
    if (node !== undefined) return toSession<N>(node, config.grpcListen);
    try {
      return await startSession(deps, config, options);
    } catch (error) {
      if (!isBusy(error) || deps.clock.now() >= giveUpAtMs) throw error;
      await deps.clock.sleep(BUSY_POLL_MS, options.signal);
    }
  }
}

function toSession<N>(node: N & AsyncDisposable, address: string): Session<N> {
  return { node, address, isOwn: false, [Symbol.asyncDispose]: () => node[Symbol.asyncDispose]() };
}

async function startSession<N>(
  deps: SessionDeps<N>,
  config: Config,
  options: SessionOptions,
): Promise<Session<N>> {
  await using stack = new AsyncDisposableStack();
  const daemon = stack.use(await deps.start(toOwnConfig(config, options.network ?? true), options.logger));
  const address = daemon.grpcAddress;
  const node = await deps.attach(address, options);
  if (node === undefined) {
    throw new CodedError("internal", `The daemon of this call does not answer at ${address}`);
  }
  stack.use(node);
  const owned = stack.move();
  return { node, address, isOwn: true, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The home with an address of its own: nobody shall come to rely on a daemon that is about to go. */
function toOwnConfig(config: Config, network: boolean): Config {
  const grpcListen = Deno.build.os === "windows"
    ? "tcp://127.0.0.1:0"
    : `unix://${join(config.home, "call.sock")}`;
  const offline = network ? {} : { listenAddrs: [], enableMdns: false, bootstrapPeers: [] };
  // Its agent, if the home has one, is not there: nobody shall find it.
  const anycast = {
    ...config.anycast,
    autoRegister: false,
    ...!network && { registryAddr: undefined, registryAddrs: [] },
  };
  return Object.freeze({ ...config, grpcListen, anycast, ...offline });
}

/** Whether another process has the store of the home: a daemon that is starting, or another call. */
function isBusy(error: unknown): boolean {
  return error instanceof CodedError && error.code === "aborted";
}

async function attach(address: string, { card }: Partial<SessionOptions> = {}): Promise<Node | undefined> {
  if (!await isAnswered(address)) return undefined; // spares loading all that a client needs
  const { Node } = await import("../sdk/mod.ts");
  const start = new AbortController();
  const timer = setTimeout(() => start.abort(), ANSWER_LIMIT_MS);
  const node = new Node({ daemonAddr: address, signal: start.signal });
  try {
    await node.start();
    if (card !== undefined) await node.setCard(card, { keep: true });
    return node;
  } catch (error) {
    if (start.signal.aborted) {
      throw new CodedError(
        "deadline_exceeded",
        `The daemon at ${address} does not answer within ${ANSWER_LIMIT_MS / 1000} s: see its log, or end it`,
      );
    }
    if (toCodedError(error).code === "unavailable") return undefined;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function startQuietly(config: Config, logger: Logger): Promise<Daemon> {
  const { startDaemon } = await import("../daemon/mod.ts");
  return await startDaemon(config, { logger });
}
