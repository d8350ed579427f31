import { createSocket } from "node:dgram";
import multicastDns from "multicast-dns";
import type { Logger } from "../core/log.ts";
import type { DnsMessage } from "./mdns_records.ts";
import { isWithin } from "./own_networks.ts";

/** Port and groups of mDNS (RFC 6762). */
const MDNS_PORT = 5353;
const IPV4_GROUP = "224.0.0.251";
const IPV6_GROUP = "ff02::fb";

/** An interface of this machine: its IPv4 address, or its link-local IPv6 address. */
export interface LinkInterface {
  name: string;
  address: string;
  cidr: string;
}

/** Told what arrives from the interface's own link. */
export interface MdnsSocketDeps {
  onQuery(message: DnsMessage): void;
  onResponse(message: DnsMessage): void;
  logger: Logger;
}

/** A multicast socket that speaks mDNS on one interface and on no other. */
export interface MdnsSocket extends AsyncDisposable {
  query(message: DnsMessage): void;
  respond(message: DnsMessage): void;
}

/** The part of the multicast-dns package that we use. */
interface MulticastDns {
  on(event: "query" | "response", listener: (message: DnsMessage, from: { address: string }) => void): void;
  on(event: "error" | "warning", listener: (error: Error) => void): void;
  on(event: "ready", listener: () => void): void;
  query(message: DnsMessage, done: (error?: Error | null) => void): void;
  respond(message: DnsMessage, done: (error?: Error | null) => void): void;
  destroy(done: () => void): void;
}

/**
 * Opens the shared mDNS port on one interface: joins the group there and sends there only, loopback included. Rejects
 * when the interface cannot do multicast or the port is held by somebody who does not share it.
 */
export async function openMdnsSocket(own: LinkInterface, deps: MdnsSocketDeps): Promise<MdnsSocket> {
  const isIpv6 = own.address.includes(":");
  const socket = createSocket({ type: isIpv6 ? "udp6" : "udp4", reuseAddr: true, ipv6Only: isIpv6 });
  // The package would join every interface again and again and carry on when it cannot: we do this part ourselves.
  const common = { socket, port: MDNS_PORT, multicast: false };
  const mdns: MulticastDns = multicastDns(
    isIpv6 ? { ...common, bind: "::", ip: `${IPV6_GROUP}%${own.name}` } : { ...common, bind: "0.0.0.0" },
  );
  const close = () => new Promise<void>((resolve) => mdns.destroy(resolve));
  const onError = (error: Error) => deps.logger.debug("mDNS packet trouble", { interface: own.name, error });
  mdns.on("warning", onError);
  try {
    await new Promise<void>((resolve, reject) => {
      mdns.on("ready", resolve);
      mdns.on("error", reject);
    });
    const multicastInterface = isIpv6 ? `::%${own.name}` : own.address;
    socket.addMembership(isIpv6 ? IPV6_GROUP : IPV4_GROUP, multicastInterface);
    socket.setMulticastInterface(multicastInterface);
    socket.setMulticastTTL(255);
    socket.setMulticastLoopback(true);
  } catch (error) {
    await close();
    throw error;
  }
  mdns.on("error", onError);
  // A socket on a shared port also hears the groups that others joined on other interfaces: go by the sender,
  // who over IPv6 is only known to be on one of our links.
  mdns.on("query", (message, from) => isOnLink(from.address, own) && deps.onQuery(message));
  mdns.on("response", (message, from) => isOnLink(from.address, own) && deps.onResponse(message));
  const done = (error?: Error | null) => {
    if (error) onError(error);
  };
  return {
    query: (message) => mdns.query(message, done),
    respond: (message) => mdns.respond(message, done),
    [Symbol.asyncDispose]: close,
  };
}

/** Whether `address` is of the network of `own`. */
export function isOnLink(address: string, own: LinkInterface): boolean {
  return isWithin(address, own.cidr);
}
