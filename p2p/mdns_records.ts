import { peerIdFromString } from "@libp2p/peer-id";
import { CODE_IP4, CODE_IP6, CODE_P2P, multiaddr } from "@multiformats/multiaddr";
import { kindOf } from "./address_kind.ts";
import { MAX_ADDRESSES_PER_PEER } from "./constants.ts";
import type { PeerTarget } from "./peer_address.ts";

/** Seconds for which a record may be remembered. */
const RECORD_TTL_S = 120;
/** Longest string of a TXT record (RFC 1035, 3.3). */
const MAX_TXT_BYTES = 255;
/** Bytes of addresses in one packet, so that it stays below 1,200 bytes and is never split on the way. */
const MAX_ADDRESS_BYTES = 900;
const TXT_PREFIX = "dnsaddr=";

/** A DNS record, as far as discovery reads it. */
export interface DnsRecord {
  name: string;
  type: string;
  ttl?: number;
  data?: unknown;
}

/** A DNS message, as far as discovery reads it. */
export interface DnsMessage {
  questions?: readonly { name: string; type: string }[];
  answers?: readonly DnsRecord[];
  additionals?: readonly DnsRecord[];
}

/** The question "who is there?" for a service tag. */
export function createQuery(serviceTag: string): DnsMessage {
  return { questions: [{ name: serviceTag, type: "PTR" }] };
}

/** Whether `message` asks for `serviceTag`. */
export function asksFor(message: DnsMessage, serviceTag: string): boolean {
  return (message.questions ?? []).some(({ name, type }) =>
    sameName(name, serviceTag) && (type === "PTR" || type === "ANY")
  );
}

/**
 * The answer that names `addresses` (each ending in `/p2p/<id>`), as many as fit into one packet. Undefined when none
 * does. Shape: libp2p mDNS specification.
 */
export function createAnswer(
  serviceTag: string,
  instance: string,
  addresses: readonly string[],
): DnsMessage | undefined {
  const strings: string[] = [];
  let byteLength = 0;
  for (const text of addresses.map((address) => TXT_PREFIX + address)) {
    if (text.length > MAX_TXT_BYTES || byteLength + text.length > MAX_ADDRESS_BYTES) continue;
    strings.push(text);
    byteLength += text.length + 1;
  }
  if (strings.length === 0) return undefined;
  const name = `${instance}.${serviceTag}`;
  return {
    answers: [{ name: serviceTag, type: "PTR", ttl: RECORD_TTL_S, data: name }],
    additionals: [{ name, type: "TXT", ttl: RECORD_TTL_S, data: strings }],
  };
}

/**
 * The peers that `message` announces under `serviceTag`: addresses that are an IP and a port that this node can dial, at most
 * {@link MAX_ADDRESSES_PER_PEER} each. What is malformed or says goodbye (TTL 0) is left out.
 */
export function readPeers(message: DnsMessage, serviceTag: string): PeerTarget[] {
  const records = [...(message.answers ?? []), ...(message.additionals ?? [])];
  const instances = new Set(
    records.filter(({ name, type, ttl }) => type === "PTR" && ttl !== 0 && sameName(name, serviceTag))
      .map(({ data }) => normalName(String(data))),
  );
  const peers = new Map<string, PeerTarget>();
  for (const { name, type, ttl, data } of records) {
    if (type !== "TXT" || ttl === 0 || !instances.has(normalName(name))) continue;
    for (const text of toStrings(data)) {
      const target = text.startsWith(TXT_PREFIX) ? toTarget(text.slice(TXT_PREFIX.length)) : undefined;
      if (target === undefined) continue;
      const known = peers.get(target.peerId);
      if (known === undefined) peers.set(target.peerId, target);
      else if (known.addresses.length < MAX_ADDRESSES_PER_PEER) known.addresses.push(...target.addresses);
    }
  }
  return [...peers.values()];
}

/** The IP address in a multiaddr that starts with one. */
export function ipOf(address: string): string | undefined {
  return /^\/ip[46]\/([^/]+)\//.exec(address)?.[1];
}

function toTarget(address: string): PeerTarget | undefined {
  try {
    const parsed = multiaddr(address);
    const [ip, p2p] = [parsed.getComponents()[0], parsed.getComponents().at(-1)];
    if (ip?.code !== CODE_IP4 && ip?.code !== CODE_IP6) return undefined;
    const kind = kindOf(parsed);
    if (kind === undefined || kind.relayId !== undefined || p2p?.code !== CODE_P2P) return undefined;
    return { peerId: peerIdFromString(p2p.value ?? "").toString(), addresses: [address] };
  } catch {
    return undefined; // A stranger's packet may say anything; what is not an address of a peer is no news.
  }
}

function toStrings(data: unknown): string[] {
  const values = Array.isArray(data) ? data : [data];
  return values.flatMap((value) => {
    if (typeof value === "string") return value;
    return value instanceof Uint8Array ? new TextDecoder().decode(value) : [];
  });
}

function sameName(a: string, b: string): boolean {
  return normalName(a) === normalName(b);
}

function normalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}
