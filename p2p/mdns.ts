import { systemClock } from "../core/clock.ts";
import { errorMessage } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { asksFor, createAnswer, createQuery, type DnsMessage, ipOf, readPeers } from "./mdns_records.ts";
import { isOnOwnNetwork } from "./own_networks.ts";
import { isOnLink, type LinkInterface, type MdnsSocket, openMdnsSocket } from "./mdns_socket.ts";

/** Pauses between queries; the last one repeats. */
const QUERY_DELAYS_MS = [1_000, 2_000, 4_000, 8_000, 10_000];
/** A record goes out on an interface at most once in this time (RFC 6762, 6). */
const ANSWER_GAP_MS = 1_000;
/** Interfaces served at once. */
const MAX_INTERFACES = 16;

/** Discovery on the local link. */
export interface MdnsOptions {
  enabled: boolean;
  /** Service that we ask for and answer to, such as `_agentanycast._udp.local`. */
  serviceTag: string;
  /** Addresses (IPv4, or link-local IPv6) or names of interfaces; empty = all of them. */
  interfaces: readonly string[];
}

/** What discovery works with. */
export interface MdnsDeps {
  peerId: string;
  /** Our dialable multiaddrs, each ending in `/p2p/<id>`. */
  addresses(): string[];
  /** A peer was announced, at addresses that end in `/p2p/<id>`; called again for every announcement. */
  onPeer(peerId: string, addresses: readonly string[]): void;
  logger: Logger;
}

interface OpenInterface {
  own: LinkInterface;
  socket: MdnsSocket;
  answeredAtMs: number;
  answerTimer: ReturnType<typeof setTimeout> | undefined;
}

/**
 * Announces us and finds peers on the chosen interfaces, which are looked up anew before each query. An interface that
 * cannot do multicast is logged and left out.
 */
export class MdnsDiscovery {
  readonly #open = new Map<string, OpenInterface>();
  readonly #failed = new Set<string>();
  readonly #instance = crypto.randomUUID().replaceAll("-", "") + crypto.randomUUID().slice(0, 8);

  constructor(readonly deps: MdnsDeps, readonly options: MdnsOptions) {}

  /** Works until `signal` fires, then closes its sockets; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      for (let round = 0; !signal.aborted; round++) {
        await this.#syncInterfaces();
        for (const { socket } of this.#open.values()) socket.query(createQuery(this.options.serviceTag));
        const delayMs = QUERY_DELAYS_MS[round] ?? QUERY_DELAYS_MS.at(-1) ?? 0;
        await systemClock.sleep(delayMs * (1 + Math.random() / 5), signal);
      }
    } catch (error) {
      if (!signal.aborted) this.deps.logger.warn("mDNS discovery stopped", { error });
    } finally {
      await Promise.all([...this.#open.keys()].map((key) => this.#close(key)));
    }
  }

  /** Opens what was chosen and is there, closes what is gone. */
  async #syncInterfaces(): Promise<void> {
    const wanted = chooseInterfaces(this.options.interfaces).slice(0, MAX_INTERFACES);
    const keys = new Set(wanted.map(keyOf));
    for (const key of [...this.#open.keys()].filter((key) => !keys.has(key))) await this.#close(key);
    for (const own of wanted.filter((own) => !this.#open.has(keyOf(own)))) {
      await this.#openInterface(own);
    }
  }

  async #openInterface(own: LinkInterface): Promise<void> {
    const { logger } = this.deps;
    const key = keyOf(own);
    try {
      const socket = await openMdnsSocket(own, {
        onQuery: (message) => {
          const open = this.#open.get(key);
          if (open !== undefined && asksFor(message, this.options.serviceTag)) this.#answer(open);
        },
        onResponse: (message) => this.#onResponse(message, own),
        logger,
      });
      const open = { own, socket, answeredAtMs: -ANSWER_GAP_MS, answerTimer: undefined };
      this.#open.set(key, open);
      this.#failed.delete(key);
      this.#answer(open);
    } catch (error) {
      const log = this.#failed.has(key) ? logger.debug : logger.warn;
      log("Could not use an interface for mDNS", {
        interface: own.name,
        address: own.address,
        reason: errorMessage(error),
      });
      if (this.#failed.size < MAX_INTERFACES) this.#failed.add(key);
    }
  }

  async #close(key: string): Promise<void> {
    const open = this.#open.get(key);
    this.#open.delete(key);
    clearTimeout(open?.answerTimer);
    await open?.socket[Symbol.asyncDispose]();
  }

  /** Answers at once, or when the last answer is old enough; by multicast, since a shared port gets no unicast. */
  #answer(open: OpenInterface): void {
    if (open.answerTimer !== undefined) return;
    const waitMs = open.answeredAtMs + ANSWER_GAP_MS - performance.now();
    if (waitMs > 0) {
      open.answerTimer = setTimeout(() => {
        open.answerTimer = undefined;
        this.#answer(open);
      }, waitMs);
      return;
    }
    open.answeredAtMs = performance.now();
    const answer = createAnswer(
      this.options.serviceTag,
      this.#instance,
      announcedOn(open.own, this.deps.addresses()),
    );
    if (answer !== undefined) open.socket.respond(answer);
  }

  /**
   * Takes a peer only at addresses of the link on which it was heard, and at those of our own networks that the link may
   * have beside: it can have one, and need not be believed more.
   */
  #onResponse(message: DnsMessage, own: LinkInterface): void {
    for (const { peerId, addresses } of readPeers(message, this.options.serviceTag)) {
      const onLink = addresses.filter((address) => {
        const ip = ipOf(address) ?? "";
        if (isLinkLocal(ip)) return false;
        return isOnLink(ip, own) || (ip.includes(":") || own.address.includes(":")) && isOnOwnNetwork(ip);
      });
      if (peerId !== this.deps.peerId && onLink.length > 0) this.deps.onPeer(peerId, onLink);
    }
  }
}

/** What to announce on an interface: loopback addresses on loopback alone, else the others, those of the link first. */
function announcedOn(own: LinkInterface, addresses: readonly string[]): string[] {
  const announced = addresses.filter((address) => {
    const ip = ipOf(address) ?? "";
    return isLoopback(ip) === isLoopback(own.address) && !isLinkLocal(ip);
  });
  const isIpv6 = own.address.includes(":");
  const rank = (address: string) => {
    const ip = ipOf(address) ?? "";
    return isOnLink(ip, own) || (isIpv6 && ip.includes(":")) ? 0 : 1;
  };
  return announced.sort((a, b) => rank(a) - rank(b));
}

/** One entry for each interface and each of IPv4 and IPv6; IPv6 multicast goes by its link-local address. */
function chooseInterfaces(chosen: readonly string[]): LinkInterface[] {
  return Deno.networkInterfaces().filter(({ family, name, address }) =>
    (family === "IPv4" || isLinkLocal(address)) &&
    (chosen.length === 0 || chosen.includes(name) || chosen.includes(address))
  );
}

function keyOf({ name, address }: LinkInterface): string {
  return `${name} ${address}`;
}

/** Such an address says nothing without the interface, which multiaddrs do not name. */
function isLinkLocal(ip: string): boolean {
  return ip.startsWith("fe80:");
}

function isLoopback(ip: string): boolean {
  return ip.startsWith("127.") || ip === "::1";
}
