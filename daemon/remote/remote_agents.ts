import { type Clock, systemClock } from "../../core/clock.ts";
import { CodedError, toCodedError } from "../../core/errors.ts";
import { abortable } from "../../core/abortable.ts";
import type { RequestSigner, SafeFetch } from "../../http/mod.ts";
import { findCard, isAgentDescription } from "./card_lookup.ts";
import { GrpcClients } from "./grpc_clients.ts";
import type { CallOptions, RemoteAgent } from "./remote_agent.ts";

/** How long what was found at a URL counts, in milliseconds: an agent, and that there is none to speak to. */
const AGENT_MS = 5 * 60_000;
const UNUSABLE_MS = 30_000;
/** Agents that are remembered; the one asked for longest ago goes first. */
const MAX_AGENTS = 1_000;
/** Longest URL of an agent, in characters: it is part of keys of the store. */
const MAX_URL_LENGTH = 800;

/** What is at a URL. */
export type RemoteLookup =
  | { readonly kind: "agent"; readonly agent: RemoteAgent }
  /** Nothing that can be spoken to, however often it is tried. */
  | { readonly kind: "unusable"; readonly error: CodedError };

export interface RemoteAgentsDeps {
  readonly safeFetch: SafeFetch;
  /** The DID of this node, for agents that want to know who calls. */
  readonly signer: RequestSigner;
  readonly clock?: Clock;
}

export interface RemoteAgentsOptions {
  /** How long an agent may take to answer a message when it does not stream, in milliseconds. Default 10 min. */
  readonly answerTimeoutMs?: number;
}

/** The agents behind URLs, looked up when they are needed. */
export class RemoteAgents {
  readonly #deps: Required<RemoteAgentsDeps>;
  readonly #options: Required<RemoteAgentsOptions>;
  readonly #known = new Map<string, { lookup: RemoteLookup; untilMs: number }>();
  readonly #running = new Map<string, Promise<RemoteLookup>>();
  readonly #grpc: GrpcClients;
  readonly #stop = new AbortController();

  constructor(deps: RemoteAgentsDeps, options: RemoteAgentsOptions = {}) {
    this.#deps = { clock: systemClock, ...deps };
    this.#grpc = new GrpcClients(deps.safeFetch);
    this.#options = { answerTimeoutMs: 10 * 60_000, ...options };
  }

  /** What was found at `url` a short while ago. */
  known(url: string): RemoteLookup | undefined {
    const entry = this.#known.get(url);
    return entry !== undefined && entry.untilMs > this.#deps.clock.now() ? entry.lookup : undefined;
  }

  /** What is at `url`. @throws CodedError `unavailable`, `deadline_exceeded` when that cannot be told now. */
  async lookUp(url: string, { signal }: CallOptions): Promise<RemoteLookup> {
    const known = this.known(url);
    if (known !== undefined) return known;
    const running = this.#running.get(url) ??
      this.#lookUp(url).finally(() => this.#running.delete(url));
    this.#running.set(url, running);
    return await abortable(running, signal);
  }

  /** The agent at `url`. @throws CodedError as {@link lookUp}, and why there is none. */
  async agentAt(url: string, options: CallOptions): Promise<RemoteAgent> {
    const lookup = await this.lookUp(url, options);
    if (lookup.kind === "unusable") throw lookup.error;
    return lookup.agent;
  }

  /** Looks again before it is used the next time. */
  forget(url: string): void {
    this.#known.delete(url);
  }

  /** Ends what is being looked up, and closes the connections to gRPC servers. */
  async close(): Promise<void> {
    this.#stop.abort(new CodedError("cancelled", "The daemon is stopping"));
    await Promise.allSettled(this.#running.values());
    this.#grpc[Symbol.dispose]();
  }

  async #lookUp(url: string): Promise<RemoteLookup> {
    let lookup: RemoteLookup;
    try {
      lookup = await this.#open(new URL(url));
    } catch (error) {
      const coded = toCodedError(error);
      if (isPassing(coded)) throw coded;
      lookup = { kind: "unusable", error: coded };
    }
    this.#remember(url, lookup);
    return lookup;
  }

  async #open(url: URL): Promise<RemoteLookup> {
    const { safeFetch } = this.#deps;
    const { signal } = this.#stop;
    const card = await findCard(url, { safeFetch }, { signal });
    // Loaded when the first task for a URL comes: most nodes have none.
    if (card !== undefined && isAgentDescription(card.json)) {
      const { openAnpAgent } = await import("./anp/open_anp_agent.ts");
      return { kind: "agent", agent: await openAnpAgent(card, this.#deps, { ...this.#options, signal }) };
    }
    const { openAgent } = await import("./a2a/open_agent.ts");
    return {
      kind: "agent",
      agent: await openAgent(url, card, { safeFetch, grpc: this.#grpc, ...this.#options }),
    };
  }

  #remember(url: string, lookup: RemoteLookup): void {
    const lastsMs = lookup.kind === "agent" ? AGENT_MS : UNUSABLE_MS;
    this.#known.delete(url);
    this.#known.set(url, { lookup, untilMs: this.#deps.clock.now() + lastsMs });
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_AGENTS && oldest !== undefined) this.#known.delete(oldest);
  }
}

/** Whether it may be different the next time. */
function isPassing({ code }: CodedError): boolean {
  return code === "unavailable" || code === "deadline_exceeded" || code === "cancelled" ||
    code === "resource_exhausted";
}

/**
 * The URL of a remote agent in its one form, under which its tasks are kept.
 * @throws CodedError `invalid_argument` when `text` is none.
 */
export function parseAgentUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !isAgentUrl(url.href)) {
    throw new CodedError(
      "invalid_argument",
      `"${text}" is not the URL of an agent, such as https://agent.example`,
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new CodedError(
      "invalid_argument",
      "The URL holds a password: give credentials in the credentials file",
    );
  }
  url.hash = "";
  if (url.href.length > MAX_URL_LENGTH) {
    throw new CodedError(
      "invalid_argument",
      `The URL has ${url.href.length} characters: ${MAX_URL_LENGTH} at most`,
    );
  }
  return url.href;
}

/** Whether the other side of a task is an agent behind a URL, and not a peer or a caller of this node. */
export function isAgentUrl(peerId: string): boolean {
  return /^https?:\/\/./.test(peerId);
}
