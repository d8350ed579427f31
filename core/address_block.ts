/**
 * The block of addresses that one customer of a network gets and can change about in, for counting by address: of an IPv6
 * address its first 64 bits (`2001:db8:0:1::/64`; RFC 6177), of an IPv4 address, also when it is written as an IPv6 one,
 * itself. Anything that is no IP address stays as it is.
 */
export function addressBlock(address: string): string {
  const groups = ipv6Groups(address);
  if (groups === undefined) return address;
  const [high = 0, low = 0] = groups.slice(6);
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (isMapped) return [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".");
  return `${groups.slice(0, 4).map((group) => group.toString(16)).join(":")}::/64`;
}

/** The eight groups of an IPv6 address without its zone; undefined for anything else. */
function ipv6Groups(address: string): number[] | undefined {
  const [host = ""] = address.split("%");
  if (!host.includes(":")) return undefined;
  const url = URL.parse(`http://[${host}]`); // writes every form of an address in one way
  if (url === null) return undefined;
  const [left = "", right] = url.hostname.slice(1, -1).split("::");
  const groups = (part: string) => part === "" ? [] : part.split(":").map((group) => parseInt(group, 16));
  const before = groups(left);
  if (right === undefined) return before;
  const after = groups(right);
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}
