import { CodedError } from "../../core/errors.ts";
import type { FrameChannel, P2pHost, PeerConnection, Reachability } from "../../p2p/mod.ts";
import { addressOf, type MemoryHostDeps, type MemoryNetwork, toPeerConnection } from "./memory_network.ts";

const NOT_REACHED: Reachability = {
  nat: "unknown",
  mapping: "unknown",
  observed: [],
  ports: { state: "off", addresses: [] },
};

/** A host of a {@link MemoryNetwork}. */
export class MemoryHost implements P2pHost {
  readonly peerId: string;
  readonly relayServer = undefined;
  readonly dht = undefined;
  readonly #network: MemoryNetwork;
  readonly #deps: MemoryHostDeps;
  readonly #serving = new Set<Promise<void>>();
  #left = false;

  constructor(network: MemoryNetwork, deps: MemoryHostDeps) {
    this.peerId = deps.peerId;
    this.#network = network;
    this.#deps = deps;
  }

  addresses(): string[] {
    return [addressOf(this.peerId)];
  }

  peers(): PeerConnection[] {
    return this.#network.peersOf(this.peerId).flatMap((peerId) => this.#peer(peerId) ?? []);
  }

  isConnected(peerId: string): boolean {
    return !this.#left && this.#network.connectionOf(this.peerId, peerId) !== undefined;
  }

  relayedAddresses(): string[] {
    return [];
  }

  doubt(): void {
    // There is one way to a peer.
  }

  relays(): [] {
    return [];
  }

  reachability(): Reachability {
    return NOT_REACHED;
  }

  async connect(peerId: string): Promise<PeerConnection> {
    await this.#dial(peerId);
    const peer = this.#peer(peerId);
    if (peer !== undefined) return peer;
    throw new CodedError("unavailable", `Could not connect to ${peerId}: the connection was lost`);
  }

  async sendA2aFrame(peerId: string, frame: Uint8Array): Promise<void> {
    await this.#dial(peerId);
    const sent = frame.slice();
    const host = await this.#network.carry(this.peerId, peerId);
    host.#serve(() => host.#deps.handlers.onA2aFrame(this.peerId, sent));
  }

  async exchangeCard(peerId: string, frame: Uint8Array): Promise<Uint8Array | undefined> {
    await this.#dial(peerId);
    const sent = frame.slice();
    const host = await this.#network.carry(this.peerId, peerId);
    const answer = (await host.#deps.handlers.onCardFrame(this.peerId, sent))?.slice();
    await this.#network.carry(peerId, this.peerId);
    return answer;
  }

  async openChannel(peerId: string, protocol: string): Promise<FrameChannel> {
    await this.#dial(peerId);
    return await this.#network.openChannel(this.peerId, peerId, protocol);
  }

  remember(): Promise<void> {
    return Promise.resolve(); // all find each other
  }

  async ping(peerId: string): Promise<number> {
    await this.#dial(peerId);
    return this.#network.roundTripMs(this.peerId, peerId);
  }

  /** Whether peers may open channels of this protocol. */
  serves(protocol: string): boolean {
    return this.#deps.channelProtocols.includes(protocol);
  }

  /** Serves a channel that a peer has opened. */
  serve(channel: FrameChannel, protocol: string): void {
    this.#serve(async () => {
      try {
        await this.#deps.handlers.onChannel?.(channel, protocol);
        await channel.close();
      } catch (error) {
        channel.abort(new CodedError("unavailable", "The peer gave the channel up", { cause: error }));
        throw error;
      }
    });
  }

  onConnected(peerId: string): void {
    const peer = this.#peer(peerId);
    if (peer !== undefined) this.#deps.handlers.onPeerConnected(peer);
  }

  onDisconnected(peerId: string): void {
    this.#deps.handlers.onPeerDisconnected(peerId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#left) return;
    this.#left = true;
    this.#network.leave(this);
    await Promise.all(this.#serving);
  }

  /** Connects, in another turn. */
  async #dial(peerId: string): Promise<void> {
    await Promise.resolve();
    if (this.#left) throw new CodedError("unavailable", "The host is closed");
    if (peerId === this.peerId) throw new CodedError("invalid_argument", "A node cannot connect to itself");
    this.#network.connect(this.peerId, peerId);
  }

  #peer(peerId: string): PeerConnection | undefined {
    const connection = this.#network.connectionOf(this.peerId, peerId);
    if (connection === undefined || this.#left) return undefined;
    const roundTripMs = this.#network.roundTripMs(this.peerId, peerId);
    return toPeerConnection(peerId, { connection, roundTripMs, own: this.peerId });
  }

  #serve(work: () => Promise<unknown>): void {
    const serving = Promise.resolve().then(work).then(() => {}, (error) => {
      this.#deps.logger.debug("What a peer sent could not be served", { error });
    }).finally(() => this.#serving.delete(serving));
    this.#serving.add(serving);
  }
}
