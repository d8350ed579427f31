import type { IdentifyResult, Libp2p } from "@libp2p/interface";
import { CODE_P2P, type Multiaddr } from "@multiformats/multiaddr";
import { isLoopbackHost, isRelayed, kindOf } from "./address_kind.ts";
import { isOnOwnNetwork, isOwnAddress } from "./own_networks.ts";

/** Protocol by which peers are asked to dial back (AutoNAT v2). */
const DIAL_REQUEST_PROTOCOL = "/libp2p/autonat/2/dial-request";
/** When nobody got through this long after they were asked, nobody does. */
const ANSWER_MS = 15_000;
/** Observers remembered; the one that spoke longest ago is forgotten first. */
const MAX_OBSERVERS = 64;

/** Whether this node's address in the eyes of others depends on who looks. */
export type NatMapping = "unknown" | "same" | "differs";

/**
 * How others see the UDP socket of this node. A NAT that keeps one mapping for all of them ("same") can be punched; one that
 * makes another for each ("differs", symmetric) cannot.
 */
export class ObservedAddresses {
  readonly #byObserver = new Map<string, Multiaddr>();
  /** Somebody from outside opened a TCP connection. */
  #reached = false;
  /** Somebody saw this node at an address that is not its own. */
  #behindNat = false;
  /** When somebody was first asked to dial back. */
  #askedAtMs: number | undefined;

  /** `now` is in milliseconds of a clock that never goes back. Default `performance.now`. */
  constructor(libp2p: Pick<Libp2p, "addEventListener">, readonly now = () => performance.now()) {
    libp2p.addEventListener("connection:open", ({ detail: { direction, remoteAddr } }) => {
      const kind = kindOf(remoteAddr);
      // Over TCP nobody gets through a NAT by dialing at the same moment, so somebody outside has our address.
      const dialedUs = direction === "inbound" && kind?.relayId === undefined && kind?.transport !== "quic";
      if (dialedUs && kind !== undefined && !isLoopbackHost(kind.host) && !isOnOwnNetwork(kind.host)) {
        this.#reached = true;
      }
    });
    libp2p.addEventListener("peer:identify", ({ detail }) => this.#take(detail));
  }

  /** Where others see this node, the latest first, without its id. */
  all(): Multiaddr[] {
    const distinct = new Map([...this.#byObserver.values()].reverse().map((one) => [one.toString(), one]));
    return [...distinct.values()];
  }

  /**
   * Whether strangers can dial this node: somebody from outside did; or not, since others see an address that is not its own,
   * or did not get through when they were asked to.
   */
  verdict(): "unknown" | "public" | "private" {
    if (this.#reached) return "public";
    const askedLongAgo = this.now() - (this.#askedAtMs ?? this.now()) > ANSWER_MS;
    return this.#behindNat || askedLongAgo ? "private" : "unknown";
  }

  /** What the observers say together. Those on this machine or its networks see no NAT and do not count. */
  mapping(): NatMapping {
    const seen = [...this.#byObserver.values()].map((address) => address.toString());
    if (seen.length < 2) return "unknown";
    return new Set(seen).size === 1 ? "same" : "differs";
  }

  /**
   * What is in the way of direct connections on this side, as far as it is known. With a place at a relay somebody should have
   * seen this node.
   */
  obstacle({ hasRelay }: { hasRelay: boolean }): string | undefined {
    if (this.mapping() === "differs") return "the NAT in front of this node is symmetric";
    if (this.#byObserver.size > 0 || !hasRelay) return undefined;
    return "this node reaches no relay over QUIC: UDP is blocked, or QUIC is off";
  }

  #take({ peerId, observedAddr, connection, protocols }: IdentifyResult): void {
    if (observedAddr === undefined || isRelayed(connection.remoteAddr)) return;
    const seenAt = kindOf(observedAddr)?.host ?? "";
    if (isLoopbackHost(seenAt) || seenAt === "") return;
    if (!isOwnAddress(seenAt)) this.#behindNat = true;
    // It has just been asked to dial back.
    else if (protocols.includes(DIAL_REQUEST_PROTOCOL)) this.#askedAtMs ??= this.now();
    // Only on QUIC does the socket that dials listen too, so only there is what is seen of it worth anything to others.
    if (connection.direction !== "outbound" || kindOf(connection.remoteAddr)?.transport !== "quic") return;
    const kind = kindOf(observedAddr);
    if (kind?.transport !== "quic" || kind.relayId !== undefined) return;
    const observer = peerId.toString();
    this.#byObserver.delete(observer);
    this.#byObserver.set(observer, withoutPeer(observedAddr));
    const [oldest] = this.#byObserver.keys();
    if (this.#byObserver.size > MAX_OBSERVERS && oldest !== undefined) this.#byObserver.delete(oldest);
  }
}

function withoutPeer(address: Multiaddr): Multiaddr {
  return address.getComponents().at(-1)?.code === CODE_P2P ? address.decapsulateCode(CODE_P2P) : address;
}
