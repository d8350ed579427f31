import type { ConnectionGater } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { CodedError } from "../core/errors.ts";
import { isRelayed, kindOf } from "./address_kind.ts";
import { isCidr, isWithin } from "./own_networks.ts";
import { isPeerId } from "./peer_address.ts";

/** Who may connect and be dialed. */
export interface GaterOptions {
  /** Peer ids, IP addresses and ranges; when there are any, only they may. Default all. */
  allow?: readonly string[];
  /** Peer ids, IP addresses and ranges that may not, whatever `allow` says. Default none. */
  deny?: readonly string[];
}

interface Rules {
  readonly peers: ReadonlySet<string>;
  readonly ranges: readonly string[];
}

/** Decides by peer id and address who may connect and be dialed. A relayed connection is judged by its peer id alone. */
export class Gater {
  readonly #allow: Rules;
  readonly #deny: Rules;

  /** Throws `invalid_argument` for an entry that is neither a peer id nor an address or range. */
  constructor({ allow = [], deny = [] }: GaterOptions = {}) {
    this.#allow = toRules(allow);
    this.#deny = toRules(deny);
  }

  /** Whether `peerId` may be connected at `address`. */
  permits(peerId: string, address: Multiaddr): boolean {
    if (this.#matches(this.#deny, { peerId, address })) return false;
    const { peers, ranges } = this.#allow;
    return peers.size + ranges.length === 0 || this.#matches(this.#allow, { peerId, address });
  }

  /** What libp2p asks. */
  toConnectionGater(): ConnectionGater {
    const denies = (peerId: string, address: Multiaddr) => !this.permits(peerId, address);
    return {
      // Before the handshake only the address is known.
      denyInboundConnection: ({ remoteAddr }) =>
        this.#matches(this.#deny, { peerId: "", address: remoteAddr }),
      denyInboundEncryptedConnection: (id, { remoteAddr }) => denies(id.toString(), remoteAddr),
      denyOutboundConnection: (id, { remoteAddr }) => denies(id.toString(), remoteAddr),
      denyDialPeer: (id) => this.#deny.peers.has(id.toString()),
    };
  }

  #matches({ peers, ranges }: Rules, { peerId, address }: { peerId: string; address: Multiaddr }): boolean {
    if (peers.has(peerId)) return true;
    if (isRelayed(address)) return false;
    const host = kindOf(address)?.host ?? address.getComponents()[0]?.value ?? "";
    return ranges.some((range) => isWithin(host, range));
  }
}

function toRules(entries: readonly string[]): Rules {
  const peers = entries.filter(isPeerId);
  const ranges = entries.filter((entry) => !isPeerId(entry));
  const bad = ranges.find((range) => !isCidr(range));
  if (bad === undefined) return { peers: new Set(peers), ranges };
  throw new CodedError(
    "invalid_argument",
    `Could not use ${
      JSON.stringify(bad)
    } to allow or deny: expected a peer id, an IP address or a range like 192.0.2.0/24`,
  );
}
