import ipaddr from "ipaddr.js";

/** Addresses outside of the special ranges at which a cloud answers for the machine itself. */
const CLOUD_ADDRESSES: readonly string[] = ["168.63.129.16"];

/** Global unicast: the only IPv6 range that is handed out (RFC 4291, IANA registry). */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR("2000::/3");

/** NAT64: the last 32 bits are an IPv4 address (RFC 6052). */
const NAT64 = ipaddr.IPv6.parseCIDR("64:ff9b::/96");

/**
 * What kind of address `address` is: `public`, or the name of the special range it is in (`loopback`, `private`,
 * `linkLocal`, `carrierGradeNat`, `uniqueLocal`, `multicast`, …). An IPv4 address inside an IPv6 one (mapped or NAT64)
 * is judged as the IPv4 address.
 * @throws SyntaxError when it is not an IP address.
 */
export function addressKind(address: string): string {
  if (!ipaddr.isValid(address)) throw new SyntaxError(`not an IP address: ${address}`);
  const parsed = ipaddr.process(address);
  if (!(parsed instanceof ipaddr.IPv6)) return ipv4Kind(parsed);
  if (parsed.match(NAT64)) return ipv4Kind(new ipaddr.IPv4(parsed.toByteArray().slice(12)));
  const range = parsed.range();
  if (range !== "unicast") return range;
  return parsed.match(GLOBAL_UNICAST) ? "public" : "unassigned";
}

function ipv4Kind(address: ipaddr.IPv4): string {
  if (CLOUD_ADDRESSES.includes(address.toString())) return "metadata";
  const range = address.range();
  return range === "unicast" ? "public" : range;
}
