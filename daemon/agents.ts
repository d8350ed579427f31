import type { AgentCard } from "../a2a/mod.ts";
import { Channel } from "../core/channel.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { CodedError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { agentsKey, type KvStore } from "../kv/mod.ts";
import type { PeerConnection } from "../p2p/mod.ts";
import type { CardBook } from "./cards.ts";

/** How long an agent whose stream has ended is waited for, in milliseconds. */
const AWAY_MS = 5_000;
const MAX_AGENTS = 1_000;
/** Events that wait for one agent; one that is slower than that has to attach anew. */
const MAX_EVENTS = 1_000;
const MAX_ID_LENGTH = 64;

/** What an attached agent is told. */
export type AgentEvent =
  | { readonly kind: "attached" }
  | { readonly kind: "card_changed"; readonly card: AgentCard | undefined }
  | { readonly kind: "peer_connected"; readonly peer: PeerConnection }
  | { readonly kind: "peer_disconnected"; readonly peerId: string };

export interface AttachedAgentsDeps {
  kv: KvStore;
  cards: Pick<CardBook, "setAttached" | "own">;
  /** Offers a changed own card to the peers. */
  announceCard: () => Promise<void>;
  peers: () => readonly PeerConnection[];
  /** The agent will not come back. */
  onGone: (agentId: string) => void;
  logger: Logger;
  clock?: Clock;
}

interface Agent {
  readonly card: AgentCard | undefined;
  /** Undefined while it is away. */
  readonly events: Channel<AgentEvent> | undefined;
  /** Ends the waiting for one that is away. */
  readonly waiting?: AbortController;
}

/** The programs that are agents of this node: their cards are part of its card for as long as they are there. */
export class AttachedAgents implements AsyncDisposable {
  readonly #deps: AttachedAgentsDeps;
  readonly #agents = new Map<string, Agent>();
  /** Agents that take tasks; stored, so that a later run knows whom it has to wait for. */
  readonly #takers = new Set<string>();
  readonly #waiting = new Set<() => void>();
  #changing: Promise<unknown> = Promise.resolve();
  #isClosed = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(deps: AttachedAgentsDeps) {
    this.#deps = deps;
  }

  /** The agents that took tasks at the end of the run before. */
  static async ofEarlierRun({ kv, logger }: Pick<AttachedAgentsDeps, "kv" | "logger">): Promise<string[]> {
    const stored = await kv.get(agentsKey);
    if (stored === undefined) return [];
    try {
      const ids: unknown = JSON.parse(new TextDecoder().decode(stored.value));
      return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
    } catch (error) {
      logger.error("The stored list of agents cannot be read; it is left out", { error });
      return [];
    }
  }

  /**
   * Attaches an agent until `signal` fires or it attaches anew, and tells what happens; the peers that are connected come first.
   * @throws CodedError `invalid_argument`, `resource_exhausted`.
   */
  async *attach(
    agentId: string,
    { card, signal }: { card: AgentCard | undefined; signal: AbortSignal },
  ): AsyncGenerator<AgentEvent> {
    if (agentId === "" || agentId.length > MAX_ID_LENGTH) {
      throw new CodedError(
        "invalid_argument",
        `An agent needs an id of 1 to ${MAX_ID_LENGTH} characters, got "${agentId.slice(0, MAX_ID_LENGTH)}"`,
      );
    }
    if (!this.#agents.has(agentId) && this.#agents.size >= MAX_AGENTS) {
      throw new CodedError(
        "resource_exhausted",
        `Cannot attach an agent: ${this.#agents.size} are attached already`,
      );
    }
    const events = new Channel<AgentEvent>(MAX_EVENTS + this.#deps.peers().length + 1);
    const close = () => events.close();
    signal.addEventListener("abort", close, { once: true });
    if (signal.aborted) close();
    try {
      await this.#put(agentId, { card, events });
      events.push({ kind: "attached" });
      for (const peer of this.#deps.peers()) events.push({ kind: "peer_connected", peer });
      yield* events;
    } finally {
      signal.removeEventListener("abort", close);
      this.#left(agentId, events);
    }
  }

  /** Takes the agent out; answers how many others are attached, and whether somebody has waited for there being none. */
  async detach(agentId: string): Promise<{ others: number; isAwaited: boolean }> {
    const isAwaited = this.#waiting.size > 0;
    await this.#remove(agentId);
    const others = this.#agents.size;
    return { others, isAwaited: isAwaited && others === 0 };
  }

  /** The agent takes tasks. */
  takesTasks(agentId: string): void {
    if (!this.#takers.has(agentId) && this.#takers.size < MAX_AGENTS) {
      this.#changeTakers(() => this.#takers.add(agentId));
    }
  }

  /** The card of the node is another one. */
  cardChanged(): void {
    this.#tell({ kind: "card_changed", card: this.#deps.cards.own });
  }

  peerConnected(peer: PeerConnection): void {
    this.#tell({ kind: "peer_connected", peer });
  }

  peerDisconnected(peerId: string): void {
    this.#tell({ kind: "peer_disconnected", peerId });
  }

  /** Comes back when no agent is there; those that are away do not count. */
  async untilNone(): Promise<void> {
    while ([...this.#agents.values()].some(({ events }) => events !== undefined)) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const { events, waiting } of this.#agents.values()) {
      waiting?.abort();
      events?.close(stoppingError());
    }
    this.#agents.clear();
    await this.#changing;
    await this.#writing;
  }

  /** Sets an agent in place of what it was before. Nothing has changed when its card cannot be used. */
  async #put(agentId: string, agent: Agent): Promise<void> {
    const isShownAnew = await this.#inTurn(async () => {
      const before = this.#agents.get(agentId);
      const replaced = [...this.#agents].filter(([id, other]) => id !== agentId && isReplaced(other, agent));
      const agents = new Map(this.#agents).set(agentId, agent);
      for (const [id] of replaced) agents.delete(id);
      const isChanged = !sameCard(before?.card, agent.card);
      if (isChanged) await this.#setCards(agents);
      for (const [id] of replaced) this.#takeOut(id);
      before?.waiting?.abort();
      this.#agents.set(agentId, agent);
      before?.events?.close();
      return isChanged;
    });
    if (isShownAnew) await this.#deps.announceCard();
  }

  #left(agentId: string, events: Channel<AgentEvent>): void {
    const agent = this.#agents.get(agentId);
    if (agent?.events !== events) return; // it has attached anew, or was taken out
    const waiting = new AbortController();
    this.#agents.set(agentId, { card: agent.card, events: undefined, waiting });
    const { clock = systemClock } = this.#deps;
    clock.sleep(AWAY_MS, waiting.signal).then(
      () => this.#remove(agentId, (now) => now?.waiting === waiting),
      () => {}, // nobody waits any more
    );
    this.#changed();
  }

  /** Takes the agent out and shows the cards of the others, if it still is as `condition` has it when its turn comes. */
  async #remove(
    agentId: string,
    condition: (agent: Agent | undefined) => boolean = () => true,
  ): Promise<void> {
    try {
      const isShownAnew = await this.#inTurn(async () => {
        const agent = this.#agents.get(agentId);
        if (!condition(agent)) return false;
        this.#takeOut(agentId);
        if (agent?.card === undefined) return false;
        await this.#setCards(this.#agents);
        return true;
      });
      if (isShownAnew) await this.#deps.announceCard();
    } catch (error) {
      if (!this.#isClosed) {
        this.#deps.logger.error("The card of an agent that has gone is still shown", { error });
      }
    }
  }

  #takeOut(agentId: string): void {
    const agent = this.#agents.get(agentId);
    if (agent !== undefined) {
      agent.waiting?.abort();
      this.#agents.delete(agentId);
      agent.events?.close();
      this.#changed();
    }
    this.#deps.onGone(agentId);
    if (this.#takers.has(agentId)) this.#changeTakers(() => this.#takers.delete(agentId));
  }

  async #setCards(agents: ReadonlyMap<string, Agent>): Promise<void> {
    const cards = [...agents.values()].flatMap(({ card }) => card === undefined ? [] : [card]);
    await this.#deps.cards.setAttached(cards);
    this.cardChanged();
  }

  /** Changes who is there one after the other: each begins with what the one before has made of it. */
  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const changed = this.#changing.then(() => {
      if (this.#isClosed) throw stoppingError();
      return change();
    });
    this.#changing = changed.catch(() => {}); // whoever asked for the change was told
    return changed;
  }

  #tell(event: AgentEvent): void {
    for (const { events } of this.#agents.values()) {
      if (events === undefined || events.closed || events.push(event)) continue;
      events.close(new CodedError("resource_exhausted", "The agent is too slow: it has to attach anew"));
    }
  }

  #changed(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  #changeTakers(change: () => void): void {
    change();
    const value = new TextEncoder().encode(JSON.stringify([...this.#takers]));
    this.#writing = this.#writing.then(() => this.#deps.kv.commit([{ op: "set", key: agentsKey, value }]))
      .then(
        () => {},
        (error) => this.#deps.logger.error("The list of agents could not be stored", { error }),
      );
  }
}

/** Whether `agent` is a new run of the program that `other` was, which has gone without a word. */
function isReplaced(other: Agent, agent: Agent): boolean {
  return other.events === undefined && other.card !== undefined && other.card.name === agent.card?.name;
}

function stoppingError(): CodedError {
  return new CodedError("cancelled", "The daemon is stopping");
}

function sameCard(a: AgentCard | undefined, b: AgentCard | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
