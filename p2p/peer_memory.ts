import type { Libp2p } from "@libp2p/interface";
import type { Logger } from "../core/log.ts";
import { MAX_ADDRESSES_PER_PEER } from "./constants.ts";
import { toPeerAddress, toPeerId } from "./peer_address.ts";

/** Whose connections end last, by value: relays and other configured peers, then those used within the last 5 minutes. */
const PROTECTION = { configured: { value: 100 }, active: { value: 10, ttl: 5 * 60_000 } } as const;

/** What bounding the address book works with. */
export interface PeerMemoryDeps {
  libp2p: Pick<Libp2p, "peerStore" | "getConnections">;
  maxPeers: number;
  logger: Logger;
}

/** Bounds libp2p's address book: of the peers that were dialed or connected, the longest untouched is forgotten first. */
export class PeerMemory {
  readonly #touched = new Set<string>();

  constructor(readonly deps: PeerMemoryDeps) {}

  /** Puts `addresses` into the address book beside what is known; malformed ones are skipped with a debug line. */
  async remember(peerId: string, addresses: readonly string[]): Promise<void> {
    const { libp2p, logger } = this.deps;
    const read = (address: string) => {
      try {
        return [toPeerAddress(address, peerId)];
      } catch (error) {
        logger.debug("Skipped an address that was to be remembered", { peerId, address, error });
        return [];
      }
    };
    const multiaddrs = addresses.slice(0, MAX_ADDRESSES_PER_PEER).flatMap(read);
    if (multiaddrs.length === 0) return;
    try {
      await libp2p.peerStore.merge(toPeerId(peerId), { multiaddrs });
    } catch (error) {
      logger.debug("Could not remember the addresses of a peer", { peerId, error });
      return;
    }
    await this.touch(peerId);
  }

  /** When there are too many connections, those of `peerId` end after the others. Never rejects. */
  async protect(peerId: string, as: keyof typeof PROTECTION): Promise<void> {
    const { libp2p, logger } = this.deps;
    try {
      await libp2p.peerStore.merge(toPeerId(peerId), { tags: { [`agentanycast-${as}`]: PROTECTION[as] } });
    } catch (error) {
      logger.debug("Could not protect the connections of a peer", { peerId, error });
    }
  }

  /** Notes that `peerId` is in use; forgets another one when there are too many. */
  async touch(peerId: string): Promise<void> {
    const { libp2p, maxPeers, logger } = this.deps;
    this.#touched.delete(peerId);
    this.#touched.add(peerId);
    for (const oldest of this.#touched) {
      if (this.#touched.size <= maxPeers) return;
      this.#touched.delete(oldest);
      const id = toPeerId(oldest);
      if (libp2p.getConnections(id).length > 0) continue; // Touched again when its last connection goes.
      try {
        await libp2p.peerStore.delete(id);
      } catch (error) {
        logger.debug("Could not forget a peer", { peerId: oldest, error });
      }
    }
  }
}
