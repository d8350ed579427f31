import type { Candidates, RouteFinder, RouteOutcome, RouteQuery } from "../../a2a/mod.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import type { Directory } from "./directory.ts";
import type { DiscoveredAgent } from "./model.ts";
import type { Chooser } from "./strategy.ts";

export interface AgentFinderDeps {
  directory: Pick<Directory, "discover" | "doubt">;
  chooser: Pick<Chooser, "order">;
  /** Notes where a peer says it can be dialed. */
  remember(peerId: string, addresses: readonly string[]): Promise<void>;
  /** Somebody was looked for: whether there is somebody. */
  onLookup?(result: "hit" | "miss"): void;
  clock?: Clock;
}

/** How long an agent that failed comes after the others. */
const PENALTY_MS = 30_000;
const MAX_PENALTIES = 1_000;
/** Agents considered for a task. */
const MAX_CANDIDATES = 300;
/** How long addresses that were noted are not noted again, and peers of which that is known. */
const REMEMBERED_MS = 60_000;
const MAX_REMEMBERED = 1_000;

/** Finds agents for tasks that name a skill, the best to try first. */
export class AgentFinder implements RouteFinder {
  readonly #deps: AgentFinderDeps;
  readonly #clock: Clock;
  /** Until when a peer comes after the others, in milliseconds since the Unix epoch. */
  readonly #penalties = new Map<string, number>();
  readonly #remembered = new Map<string, { text: string; atMs: number }>();

  constructor(deps: AgentFinderDeps) {
    this.#deps = deps;
    this.#clock = deps.clock ?? systemClock;
  }

  async find(
    { skillId, tags, contextId }: RouteQuery,
    options: { signal: AbortSignal; isTurn: boolean },
  ): Promise<Candidates> {
    const { directory, chooser, onLookup } = this.#deps;
    const { agents, failures } = await directory.discover(
      { skill: skillId, tags, limit: MAX_CANDIDATES },
      { signal: options.signal, hurry: true },
    );
    const peerIds = agents.map(({ peerId }) => peerId);
    let ordered: readonly string[] = peerIds;
    if (options.isTurn) {
      onLookup?.(agents.length > 0 ? "hit" : "miss");
      await Promise.all(agents.map((agent) => this.#remember(agent)));
      ordered = await chooser.order(peerIds, { skillId, contextId });
    }
    const byPeer = new Map(agents.map((agent) => [agent.peerId, agent]));
    const rank = (peerId: string) => this.#rank(byPeer.get(peerId));
    return {
      peerIds: [...ordered].sort((a, b) => rank(a) - rank(b)),
      unasked: failures.map(({ source, reason }) => `${source} could not be asked: ${reason}`).join("; "),
    };
  }

  note(peerId: string, outcome: RouteOutcome): void {
    this.#penalties.delete(peerId);
    if (outcome === "taken") return;
    this.#penalties.set(peerId, this.#clock.now() + PENALTY_MS);
    const [oldest] = this.#penalties.keys();
    if (this.#penalties.size > MAX_PENALTIES && oldest !== undefined) this.#penalties.delete(oldest);
    if (outcome !== "busy") this.#deps.directory.doubt(peerId);
  }

  /** Notes where the agent can be dialed, unless that was done lately. */
  async #remember({ peerId, addresses }: DiscoveredAgent): Promise<void> {
    const text = addresses.join();
    const last = this.#remembered.get(peerId);
    const isKnown = last?.text === text && this.#clock.now() - last.atMs < REMEMBERED_MS;
    if (addresses.length === 0 || isKnown) return;
    this.#remembered.delete(peerId);
    this.#remembered.set(peerId, { text, atMs: this.#clock.now() });
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > MAX_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest);
    await this.#deps.remember(peerId, addresses);
  }

  /** The lower, the sooner it is tried. */
  #rank(agent: DiscoveredAgent | undefined): number {
    if (agent === undefined) return 3;
    const hasFailed = (this.#penalties.get(agent.peerId) ?? 0) > this.#clock.now();
    return (hasFailed ? 2 : 0) + (agent.verified ? 0 : 1);
  }
}
