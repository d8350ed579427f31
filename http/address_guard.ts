import { lookup } from "node:dns/promises";
import ipaddr from "ipaddr.js";
import { CodedError } from "../core/errors.ts";
import { addressKind } from "./address_kind.ts";

/** Addresses of a host name, as the system resolves it. */
export type ResolveHost = (hostname: string) => Promise<readonly string[]>;

/** What may be reached although it is not at a public address. */
export interface AllowList {
  /** Each an origin (`http://10.0.0.7:8080`). */
  readonly origins: readonly string[];
  /** Each a host name, for every scheme and port. */
  readonly hosts: readonly string[];
  /** Each a range of addresses. */
  readonly ranges: readonly [ipaddr.IPv4 | ipaddr.IPv6, number][];
}

/**
 * The allow list of `entries`: origins (`https://agent.lan:8443`), host names (`agent.lan`), addresses (`10.0.0.7`)
 * and ranges (`10.0.0.0/8`; `0.0.0.0/0` and `::/0` together are everything).
 * @throws SyntaxError that names the entry which is none of these.
 */
export function parseAllowList(entries: readonly string[]): AllowList {
  const list = {
    origins: [] as string[],
    hosts: [] as string[],
    ranges: [] as [ipaddr.IPv4 | ipaddr.IPv6, number][],
  };
  for (const entry of entries) {
    if (entry.includes("://")) list.origins.push(parseOrigin(entry));
    else if (ipaddr.isValidCIDR(entry)) list.ranges.push(ipaddr.parseCIDR(entry));
    else if (ipaddr.isValid(entry)) list.ranges.push([ipaddr.process(entry), bitsOf(ipaddr.process(entry))]);
    else if (/^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/i.test(entry)) list.hosts.push(entry.toLowerCase());
    else throw new SyntaxError(`"${entry}" is not an origin, host name, address or range such as 10.0.0.0/8`);
  }
  return list;
}

function parseOrigin(entry: string): string {
  const url = URL.parse(entry);
  if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== "/" || url.search !== "") {
    throw new SyntaxError(`"${entry}" is not an origin such as https://agent.lan:8443`);
  }
  return url.origin;
}

function bitsOf(address: ipaddr.IPv4 | ipaddr.IPv6): number {
  return address.kind() === "ipv4" ? 32 : 128;
}

/** {@link ResolveHost} as every other program on this machine resolves, its hosts file included. */
export const resolveBySystem: ResolveHost = async (hostname) =>
  (await lookup(hostname, { all: true, verbatim: true })).map((one) => one.address);

export interface AddressGuardOptions {
  readonly allow: AllowList;
  readonly resolve: ResolveHost;
  /** The setting that an error tells the user to change, such as `outbound.allow`. */
  readonly setting: string;
}

/**
 * The addresses that `url` may be fetched from: where its host resolves to now, if all of them are public or allowed.
 * @throws CodedError `permission_denied` when one is not, `unavailable` when the name does not resolve.
 */
export async function checkedAddresses(url: URL, options: AddressGuardOptions): Promise<readonly string[]> {
  const host = hostOf(url);
  if (ipaddr.isValid(host)) return checked(url, [host], options);
  return checked(url, await resolved(host, options.resolve), options);
}

/**
 * Checks `url` as far as that goes without asking a name server: a URL with an address in place of a host name.
 * @throws CodedError `permission_denied` when it is never fetched.
 */
export function checkWrittenAddress(url: URL, options: Omit<AddressGuardOptions, "resolve">): void {
  const host = hostOf(url);
  if (ipaddr.isValid(host)) checked(url, [host], options);
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}

function checked(
  url: URL,
  addresses: readonly string[],
  { allow, setting }: Omit<AddressGuardOptions, "resolve">,
): readonly string[] {
  const named = allow.origins.includes(url.origin) || allow.hosts.includes(hostOf(url).replace(/\.$/, ""));
  for (const address of named ? [] : addresses) {
    const kind = addressKind(address);
    if (kind === "public" || isInRanges(address, allow.ranges)) continue;
    // The address itself is not told: whoever named the URL would learn the names of the network inside.
    throw new CodedError(
      "permission_denied",
      `${url.origin} is not fetched: its address is ${kind}, not public: ` +
        `if that is meant, add ${url.origin} to ${setting}`,
    );
  }
  return addresses;
}

async function resolved(host: string, resolve: ResolveHost): Promise<readonly string[]> {
  let addresses: readonly string[];
  try {
    addresses = await resolve(host);
  } catch (cause) {
    throw new CodedError(
      "unavailable",
      `The host name ${host} does not resolve: check it and the DNS server`,
      {
        cause,
      },
    );
  }
  if (addresses.length === 0) throw new CodedError("unavailable", `The host name ${host} has no address`);
  return addresses;
}

function isInRanges(address: string, ranges: AllowList["ranges"]): boolean {
  const parsed = ipaddr.process(address);
  return ranges.some(([base, bits]) => base.kind() === parsed.kind() && parsed.match(base, bits));
}
