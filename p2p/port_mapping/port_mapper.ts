import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import ipaddr from "ipaddr.js";
import type { Clock } from "../../core/clock.ts";
import { errorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { isLoopbackHost, kindOf } from "../address_kind.ts";
import { withDeadline } from "../deadline.ts";
import { isPrivate } from "../own_networks.ts";
import { Pause } from "../pause.ts";
import type { Gateway, MappedProtocol } from "./gateway.ts";

/** How long ports are asked for. */
const LIFETIME_S = 3_600;
/** How long the router may take for one answer. */
const ANSWER_MS = 4_000;
/** How long giving all ports back may take. */
const RELEASE_MS = 1_500;
/** Longest and shortest pause until ports are renewed and the address outside is looked at. */
const MAX_PAUSE_MS = 5 * 60_000;
const MIN_PAUSE_MS = 10_000;
/** Ports that one node asks for. */
const MAX_PORTS = 8;

/** How far opening ports got. */
export interface PortMapping {
  /** `off`: not asked for, or nothing but loopback is listened on; `none`: no router answers. */
  state: "off" | "searching" | "none" | "failed" | "mapped";
  /** Which router, for people. */
  gateway?: string;
  /** Why it failed. */
  reason?: string;
  /** Multiaddrs outside that lead here. */
  addresses: readonly string[];
}

/** What opening ports works with. */
export interface PortMapperDeps {
  /** Rejects only when `signal` fires. */
  findGateway(signal: AbortSignal): Promise<Gateway | undefined>;
  /** What is listened on. */
  listening(): readonly Multiaddr[];
  /** {@link PortMapper.addresses} changed. */
  onChange(): void;
  clock: Clock;
  logger: Logger;
}

interface OwnPort {
  protocol: MappedProtocol;
  internalPort: number;
}

/** Has the router open the ports that this node listens on, renews that in time and gives them back in the end. */
export class PortMapper {
  readonly #deps: PortMapperDeps;
  readonly #externalPorts = new Map<string, OwnPort & { externalPort: number }>();
  #gateway: Gateway | undefined;
  #status: PortMapping = { state: "off", addresses: [] };
  readonly #pause: Pause;

  constructor(deps: PortMapperDeps) {
    this.#deps = deps;
    this.#pause = new Pause(deps.clock);
  }

  status(): PortMapping {
    return this.#status;
  }

  /** Where this node is reached outside, without its id. */
  addresses(): Multiaddr[] {
    return this.#status.addresses.map((address) => multiaddr(address));
  }

  /** This machine may be on another network: looks for its router now. */
  lookAgain(): void {
    this.#gateway = undefined;
    this.#pause.end();
  }

  /** Works until `signal` fires; never rejects. Nobody is asked while there is nothing to be mapped. */
  async run(signal: AbortSignal): Promise<void> {
    const { logger } = this.#deps;
    // Asked again each time: addresses of WebTransport change with its certificates, others with the network.
    const own = () => this.#deps.listening().filter(isMappable);
    try {
      while (!signal.aborted) {
        const lifetimeS = own().length === 0 ? this.#rest() : await this.#round(own(), signal);
        const pauseMs = Math.min(Math.max(lifetimeS * 500, MIN_PAUSE_MS), MAX_PAUSE_MS);
        await this.#pause.take(pauseMs, signal);
      }
    } catch (error) {
      if (!signal.aborted) logger.warn("Opening ports at the router stopped", { error });
    } finally {
      this.#status = { state: "off", addresses: [] };
      if (this.#gateway !== undefined) await this.#giveBack(this.#gateway);
    }
  }

  /** There is nothing to be mapped; answers how many seconds that is likely to last. */
  #rest(): number {
    this.#externalPorts.clear();
    this.#set({ state: "off", addresses: [] });
    return LIFETIME_S;
  }

  /** Maps or renews everything; resolves with the seconds that it lasts. */
  async #round(own: readonly Multiaddr[], signal: AbortSignal): Promise<number> {
    const { logger } = this.#deps;
    if (this.#status.state === "off") this.#status = { state: "searching", addresses: [] };
    const gateway = this.#gateway ??= await this.#deps.findGateway(signal);
    if (gateway === undefined) {
      this.#set({ state: "none", addresses: [] });
      return LIFETIME_S;
    }
    try {
      const ask = <T>(work: (until: AbortSignal) => Promise<T>) =>
        withDeadline({ timeoutMs: ANSWER_MS, signal }, work);
      const outside = await ask((until) => gateway.externalAddress(until));
      assertPublic(outside);
      let lifetimeS = LIFETIME_S;
      const refused: unknown[] = [];
      const reachable = own.filter((address) => kindOf(address)?.host === gateway.from);
      for (const port of toPorts(reachable)) {
        const known = this.#externalPorts.get(keyOf(port))?.externalPort;
        const request = { ...port, externalPort: known ?? port.internalPort, lifetimeS: LIFETIME_S };
        try {
          const grant = await ask((until) => gateway.map(request, until));
          this.#externalPorts.set(keyOf(port), { ...port, externalPort: grant.externalPort });
          lifetimeS = Math.min(lifetimeS, grant.lifetimeS);
        } catch (error) {
          this.#externalPorts.delete(keyOf(port));
          refused.push(error);
          logger.debug("The router did not open a port", { ...port, reason: errorMessage(error) });
        }
      }
      if (this.#externalPorts.size === 0) {
        throw refused[0] ?? new Error("it is on no network that is listened on");
      }
      const addresses = [...new Set(reachable.flatMap((address) => this.#outside(address, outside)))];
      this.#set({ state: "mapped", gateway: gateway.name, addresses });
      return lifetimeS;
    } catch (error) {
      signal.throwIfAborted();
      await this.#giveBack(gateway);
      this.#gateway = undefined;
      this.#set({ state: "failed", gateway: gateway.name, reason: errorMessage(error), addresses: [] });
      return LIFETIME_S;
    }
  }

  #outside(address: Multiaddr, host: string): string[] {
    const port = portOf(address);
    const mapped = port && this.#externalPorts.get(keyOf(port));
    if (mapped === undefined) return [];
    const text = address.toString().replace(
      /^\/ip4\/[^/]+\/(tcp|udp)\/\d+/,
      (_, protocol) => `/ip4/${host}/${protocol}/${mapped.externalPort}`,
    );
    return [text.replace(/\/p2p\/[^/]+$/, "")];
  }

  #set(status: PortMapping): void {
    const before = this.#status;
    this.#status = status;
    const changed = before.state !== status.state ||
      before.addresses.join() !== status.addresses.join();
    if (!changed) return;
    const { logger, onChange } = this.#deps;
    const { gateway, reason, addresses } = status;
    if (status.state === "mapped") logger.info("The router opened ports", { gateway, addresses });
    else if (status.state === "failed") logger.warn("The router opened no ports", { gateway, reason });
    else if (status.state === "none") logger.debug("No router that opens ports", {});
    onChange();
  }

  /** Never rejects. */
  async #giveBack(gateway: Gateway): Promise<void> {
    const ports = [...this.#externalPorts.values()];
    this.#externalPorts.clear();
    if (ports.length === 0) return;
    try {
      await withDeadline({ timeoutMs: RELEASE_MS }, async (signal) => {
        for (const port of ports) await gateway.unmap(port, signal);
      });
    } catch (error) {
      // They end by themselves.
      this.#deps.logger.debug("The router did not close all ports", { reason: errorMessage(error) });
    }
  }
}

function assertPublic(ip: string): void {
  if (!ipaddr.IPv4.isValid(ip) || ip === "0.0.0.0") throw new Error("it has no address outside");
  if (isPrivate(ip) || isLoopbackHost(ip)) {
    throw new Error(`its own address ${ip} is behind another NAT; use a relay (--relay)`);
  }
}

/** Direct, IPv4, and of a network that routers map. Wildcards are expanded already. */
function isMappable(address: Multiaddr): boolean {
  const kind = kindOf(address);
  return kind !== undefined && kind.relayId === undefined && isPrivate(kind.host);
}

function toPorts(addresses: readonly Multiaddr[]): OwnPort[] {
  const ports = new Map(addresses.flatMap((address) => {
    const port = portOf(address);
    return port === undefined ? [] : [[keyOf(port), port] as const];
  }));
  return [...ports.values()].slice(0, MAX_PORTS);
}

function portOf(address: Multiaddr): OwnPort | undefined {
  const kind = kindOf(address);
  const protocol = address.getComponents()[1]?.name === "udp" ? "udp" : "tcp";
  return kind && { protocol, internalPort: kind.port };
}

function keyOf({ protocol, internalPort }: OwnPort): string {
  return `${protocol}/${internalPort}`;
}
