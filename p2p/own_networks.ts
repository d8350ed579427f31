import ipaddr from "ipaddr.js";

/** Whether `ip` is an address of this machine. */
export function isOwnAddress(ip: string): boolean {
  return Deno.networkInterfaces().some(({ address }) => address === ip);
}

/** Whether `ip` is an address of a network that an interface of this machine is on. */
export function isOnOwnNetwork(ip: string): boolean {
  return Deno.networkInterfaces().some(({ cidr }) => isWithin(ip, cidr));
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
