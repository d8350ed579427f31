import { withDeadline } from "../deadline.ts";
import { firstAddressOf, isPrivate } from "../own_networks.ts";
import type { Gateway } from "./gateway.ts";
import { NatPmpGateway } from "./nat_pmp_gateway.ts";
import { UpnpGateway } from "./upnp_gateway.ts";

/** How long a router may take to answer. */
const SEARCH_MS = 3_000;
/** Networks that are searched at once. */
const MAX_NETWORKS = 8;

/**
 * The router that opens ports for this machine: the first to answer on its private IPv4 networks. NAT-PMP is asked of each
 * network's first address, UPnP of all. Undefined when none answers within 3 s; rejects when `signal` fires.
 */
export async function findGateway(signal: AbortSignal): Promise<Gateway | undefined> {
  const networks = Deno.networkInterfaces().filter(({ family, address }) =>
    family === "IPv4" && isPrivate(address)
  ).slice(0, MAX_NETWORKS);
  if (networks.length === 0) return undefined;
  try {
    return await withDeadline({ timeoutMs: SEARCH_MS, signal }, async (deadline) => {
      const found = new AbortController();
      const ends = AbortSignal.any([deadline, found.signal]);
      const asked = networks.flatMap(({ address, cidr }) => [
        askNatPmp(address, firstAddressOf(cidr), ends),
        UpnpGateway.find({ from: address }, ends),
      ]);
      try {
        return await Promise.any(asked);
      } finally {
        found.abort();
        await Promise.allSettled(asked);
      }
    });
  } catch {
    signal.throwIfAborted();
    return undefined; // Most routers do not answer, and there is nothing to tell of it.
  }
}

async function askNatPmp(from: string, address: string, signal: AbortSignal): Promise<Gateway> {
  const gateway = new NatPmpGateway(from, address);
  await gateway.externalAddress(signal);
  return gateway;
}
