import ipaddr from "ipaddr.js";

/** Ranges of IPv4 that stand behind a NAT, as `ipaddr.js` calls them. */
const BEHIND_NAT: readonly string[] = ["private", "carrierGradeNat"];

/** Whether `ip` is an IPv4 address of a network behind a NAT. */
export function isPrivate(ip: string): boolean {
  return ipaddr.IPv4.isValid(ip) && BEHIND_NAT.includes(ipaddr.IPv4.parse(ip).range());
}

/** The first address of the IPv4 network `cidr`, which most routers have. */
export function firstAddressOf(cidr: string): string {
  const bytes = ipaddr.IPv4.networkAddressFromCIDR(cidr).toByteArray();
  return [...bytes.slice(0, 3), (bytes[3] ?? 0) + 1].join(".");
}

/** Whether `ip` is an address of this machine. */
export function isOwnAddress(ip: string): boolean {
  return Deno.networkInterfaces().some(({ address }) => address === ip);
}

/** Whether `ip` is an address of a network that an interface of this machine is on. */
export function isOnOwnNetwork(ip: string): boolean {
  return Deno.networkInterfaces().some(({ cidr }) => isWithin(ip, cidr));
}

/** Addresses of this machine on its networks: neither loopback nor those that hold on one link alone. */
export function usableAddresses(): string[] {
  return Deno.networkInterfaces().map(({ address }) => address)
    .filter((address) => !/^(127\.|169\.254\.|::1$|fe80:)/.test(address));
}

/** Whether `text` is an IP address or a range of them. */
export function isCidr(text: string): boolean {
  return ipaddr.isValid(text) || ipaddr.isValidCIDR(text);
}

/** Whether `ip` is within `cidr`, such as `192.0.2.0/24`; an address alone is within itself. Neither needs to be well-formed. */
export function isWithin(ip: string, cidr: string): boolean {
  try {
    const address = ipaddr.parse(ip);
    const [network, bits] = cidr.includes("/") ? ipaddr.parseCIDR(cidr) : [ipaddr.parse(cidr), undefined];
    if (address.kind() !== network.kind()) return false;
    return address.match(network, bits ?? (network.kind() === "ipv4" ? 32 : 128));
  } catch {
    return false; // One of them is a name, or nothing at all.
  }
}
