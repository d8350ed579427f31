import {
  AdminService,
  type AttachAgentResponse,
  type DetachAgentResponse,
} from "../gen/agentanycast/v1/admin_service_pb.ts";
import { NodeService } from "../gen/agentanycast/v1/node_service_pb.ts";
import { fromWireCard, fromWirePeer, toWireCard } from "./convert_node.ts";
import type { DaemonClient } from "./daemon_client.ts";
import { AgentAnycastError, toAgentAnycastError } from "./errors.ts";
import type { AgentCard, PeerInfo } from "./model.ts";
import { Outage } from "./outage.ts";

/** How long a daemon has for letting an agent go, in milliseconds. */
const DETACH_TIMEOUT_MS = 2_000;

/** Something that happened at the node's daemon. */
export type DaemonEvent =
  /** The card that the network sees is another one; undefined when there is none any more. */
  | { readonly kind: "card_changed"; readonly card: AgentCard | undefined }
  /** A peer is connected: those that are when the events begin, then others. */
  | { readonly kind: "peer_connected"; readonly peer: PeerInfo }
  /** A peer is not connected any more, or the daemon is gone. */
  | { readonly kind: "peer_disconnected"; readonly peerId: string };

export interface AttachmentDeps {
  readonly daemon: DaemonClient;
  readonly card: () => AgentCard | undefined;
  readonly onEvent: (event: DaemonEvent) => void;
  /** Told what nobody can be thrown at. */
  readonly report: (message: string, error: unknown) => void;
}

/**
 * A program as one of the agents of its daemon, with its card, until the signal fires; made anew when the connection is lost. A daemon
 * that has no such agents gets the card for itself.
 */
export class Attachment {
  /** Names the agent to the daemon. */
  readonly agentId = crypto.randomUUID();
  readonly #deps: AttachmentDeps;
  readonly #signal: AbortSignal;
  /** Whether the daemon knows agents, as far as is known. */
  #isSupported = true;
  #stream: AbortController | undefined;
  /** Settles when the last call of `attach` has: which stream is the agent's is open until then. */
  #attaching: Promise<unknown> = Promise.resolve();
  #running: Promise<void> = Promise.resolve();
  /** Peers that were told to be connected. */
  readonly #peers = new Map<string, PeerInfo>();

  constructor(deps: AttachmentDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
  }

  /** Comes back when the agent is attached with the card as it now is, in place of what it was before. Throws `invalid_argument`. */
  async attach(signal: AbortSignal = this.#signal): Promise<void> {
    const attached = this.#attaching.then(() => this.#attach(AbortSignal.any([signal, this.#signal])));
    this.#attaching = attached.catch(() => {}); // whoever asked for it is told
    await attached;
  }

  async #attach(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#isSupported) {
      const stream = new AbortController();
      const onAbort = () => stream.abort(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        const events = this.#open(AbortSignal.any([stream.signal, this.#signal]));
        await this.#take(events, { untilAttached: true });
        this.#stream?.abort();
        this.#stream = stream;
        this.#running = this.#run(events, stream);
        return;
      } catch (error) {
        const known = toAgentAnycastError(error);
        if (known.code !== "unimplemented") throw known;
        this.#isSupported = false;
      } finally {
        signal.removeEventListener("abort", onAbort);
      }
    }
    const card = this.#deps.card();
    if (card === undefined) return;
    await this.#deps.daemon.call(NodeService.method.setAgentCard, { card: toWireCard(card) }, { signal });
  }

  /** Takes the agent out; undefined when the daemon does not say what it goes on with. */
  async detach(): Promise<DetachAgentResponse | undefined> {
    this.#stream?.abort();
    await this.#running;
    if (!this.#isSupported) return undefined;
    try {
      const request = { agentId: this.agentId };
      const options = { timeoutMs: DETACH_TIMEOUT_MS };
      return await this.#deps.daemon.call(AdminService.method.detachAgent, request, options);
    } catch {
      return undefined; // the daemon is not there, or about to go
    }
  }

  /** The peers that were told to be connected. */
  peers(): PeerInfo[] {
    return [...this.#peers.values()];
  }

  #open(signal: AbortSignal): AsyncIterator<AttachAgentResponse> {
    const { daemon, card } = this.#deps;
    const now = card();
    const request = { agentId: this.agentId, ...(now !== undefined && { card: toWireCard(now) }) };
    return daemon.stream(AdminService.method.attachAgent, request, signal)[Symbol.asyncIterator]();
  }

  /** Tells what comes, until the end or the word that the agent is attached. */
  async #take(
    events: AsyncIterator<AttachAgentResponse>,
    { untilAttached }: { untilAttached: boolean },
  ): Promise<void> {
    while (true) {
      const { done, value } = await events.next();
      if (done) {
        if (!untilAttached) return;
        throw new AgentAnycastError("unavailable", "The daemon is stopping");
      }
      if (value.event.case === "attached") {
        const { nodeCard } = value.event.value;
        this.#deps.onEvent({ kind: "card_changed", card: nodeCard && fromWireCard(nodeCard) });
        if (untilAttached) return;
      } else if (value.event.case !== undefined) this.#tell(value.event);
    }
  }

  #tell(event: Exclude<AttachAgentResponse["event"], { case: undefined | "attached" }>): void {
    if (event.case === "cardChanged") {
      const card = event.value.name === "" ? undefined : fromWireCard(event.value);
      return this.#deps.onEvent({ kind: "card_changed", card });
    }
    if (event.case === "peerDisconnected") {
      if (this.#peers.delete(event.value)) {
        this.#deps.onEvent({ kind: "peer_disconnected", peerId: event.value });
      }
      return;
    }
    const peer = fromWirePeer(event.value);
    if (this.#peers.has(peer.peerId)) return; // told by the stream before
    this.#peers.set(peer.peerId, peer);
    this.#deps.onEvent({ kind: "peer_connected", peer });
  }

  /** Attaches again each time that the connection is lost, until the stream is aborted. */
  async #run(first: AsyncIterator<AttachAgentResponse>, stream: AbortController): Promise<void> {
    const signal = AbortSignal.any([stream.signal, this.#signal]);
    const outage = new Outage(Infinity);
    for (let events: AsyncIterator<AttachAgentResponse> | undefined = first; !signal.aborted;) {
      let cause: unknown;
      try {
        if (events === undefined) {
          events = this.#open(signal);
          await this.#take(events, { untilAttached: true });
        }
        outage.over();
        await this.#take(events, { untilAttached: false });
      } catch (error) {
        cause = error;
      }
      await this.#attaching;
      if (signal.aborted) return; // over, or another one has taken its place
      events = undefined;
      for (const peerId of this.#peers.keys()) this.#deps.onEvent({ kind: "peer_disconnected", peerId });
      this.#peers.clear();
      const { code } = toAgentAnycastError(cause);
      if (code === "invalid_argument") this.#deps.report("The card cannot be published", cause);
      await outage.pause(cause, signal).catch(() => {}); // rejects only when the loop ends anyway
    }
  }
}
