import type { Clock } from "../../core/clock.ts";
import { CodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { LANE_PROTOCOL, type P2pHost } from "../../p2p/mod.ts";
import { LaneSender } from "./lane_sender.ts";

export interface LanesDeps {
  host: Pick<P2pHost, "openChannel" | "doubt">;
  clock: Clock;
  logger: Logger;
}

/** How envelopes go to a peer: a lane, or one by one as in 1.0. */
export type Way = LaneSender | "legacy";

interface Link {
  way: Promise<Way>;
  /** What `way` resolved to. */
  known: Way | undefined;
}

/** The lanes that this node opened, one per connected peer at most, and the peers that speak none. */
export class Lanes implements AsyncDisposable {
  readonly #deps: LanesDeps;
  readonly #links = new Map<string, Link>();
  /** Every lane that has not ended, those that were left for a better one too. */
  readonly #lanes = new Set<LaneSender>();
  /** Connected peers that have opened a lane to this node: who has lanes has them both ways. */
  readonly #openers = new Set<string>();
  readonly #running = new Set<Promise<void>>();
  readonly #stop = new AbortController();

  constructor(deps: LanesDeps) {
    this.#deps = deps;
  }

  /** What is known about the way to a peer. */
  known(peerId: string): Way | undefined {
    return this.#links.get(peerId)?.known;
  }

  /** Whether a peer is known to have lanes. */
  speaks(peerId: string): boolean {
    const way = this.known(peerId);
    return way !== "legacy" && (this.#openers.has(peerId) || way?.greeted === true);
  }

  /**
   * The way to a peer; opens a lane when there is none. Callers get it in the order of their calls.
   * @throws CodedError `unavailable` and its kin when the lane could not be opened.
   */
  to(peerId: string): Promise<Way> {
    if (this.#stop.signal.aborted) return Promise.reject(this.#stop.signal.reason);
    const found = this.#links.get(peerId);
    const usable = found?.known === undefined || found.known === "legacy" || !found.known.retiring;
    if (found !== undefined && usable) return found.way;
    const link: Link = { way: this.#open(peerId, found?.known), known: undefined };
    this.#links.set(peerId, link);
    const settled = link.way.then((way) => this.#keep(peerId, link, way), () => this.#forget(peerId, link))
      .finally(() => this.#running.delete(settled));
    this.#running.add(settled);
    return link.way;
  }

  /**
   * A better connection to the peer is there: its lane ends with what it has been given, and what comes then waits for a lane
   * on that connection, so that the order stays.
   */
  onMoved(peerId: string): void {
    const way = this.#links.get(peerId)?.known;
    if (way instanceof LaneSender) way.retire();
  }

  /** A peer has opened a lane to this node. */
  onOpened(peerId: string): void {
    this.#openers.add(peerId);
  }

  /** What `lane` was given was not taken, since the peer speaks no lanes: its envelopes go one by one. */
  fallBack(peerId: string, lane: LaneSender): void {
    const link = this.#links.get(peerId);
    if (link?.known !== lane) return;
    link.known = "legacy";
    link.way = Promise.resolve("legacy");
  }

  /** The peer went away: what it speaks is asked anew when it comes back. */
  onDisconnected(peerId: string): void {
    this.#openers.delete(peerId);
    const link = this.#links.get(peerId);
    if (link?.known === "legacy") this.#forget(peerId, link);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new CodedError("unavailable", "The node is stopping"));
    await Promise.all([...this.#lanes].map((lane) => lane.close()));
    await Promise.all(this.#running);
  }

  async #open(peerId: string, before: Way | undefined): Promise<Way> {
    const { host, clock, logger } = this.#deps;
    const { signal } = this.#stop;
    if (before instanceof LaneSender) await before.ended();
    try {
      const channel = await host.openChannel(peerId, LANE_PROTOCOL, { signal });
      if (signal.aborted) {
        channel.abort(signal.reason);
        throw signal.reason;
      }
      const lane = LaneSender.open(channel, { clock, logger, onDoubt: () => host.doubt(peerId) });
      this.#lanes.add(lane);
      return lane;
    } catch (error) {
      if (error instanceof CodedError && error.code === "unimplemented") return "legacy";
      throw error;
    }
  }

  async #keep(peerId: string, link: Link, way: Way): Promise<void> {
    link.known = way;
    if (way === "legacy") return;
    await way.ended();
    this.#lanes.delete(way);
    if (way.unspoken) this.fallBack(peerId, way);
    else this.#forget(peerId, link);
  }

  #forget(peerId: string, link: Link): void {
    if (this.#links.get(peerId) === link) this.#links.delete(peerId);
  }
}
