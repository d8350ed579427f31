import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Logger } from "../../core/log.ts";
import { PeerAddressRecordSchema } from "../../gen/agentanycast/store/v1/records_pb.ts";
import { type KvStore, peerAddressKey, peerAddressPrefix } from "../../kv/mod.ts";
import type { P2pHost } from "../../p2p/mod.ts";
import { toTimestamp } from "../convert/time.ts";

/** Peers whose addresses are kept; the one heard of longest ago goes first. */
const MAX_PEERS = 4_000;

export interface PeerAddressesDeps {
  kv: KvStore;
  logger: Logger;
}

/** Where peers were reached, kept in the store: what waits for a peer must find it again after a restart. */
export class PeerAddresses implements AsyncDisposable {
  readonly #deps: PeerAddressesDeps;
  /** The addresses written last of each peer, the one heard of last at the end. */
  readonly #kept = new Map<string, string>();
  #writing: Promise<void> = Promise.resolve();

  constructor(deps: PeerAddressesDeps) {
    this.#deps = deps;
  }

  /** Tells the host what an earlier run has learned. */
  async restore(host: Pick<P2pHost, "remember">): Promise<void> {
    const { kv, logger } = this.#deps;
    const onDamaged = (_key: unknown, error: unknown) => {
      logger.warn("The addresses of a peer cannot be read; they are left out", { error });
    };
    for await (const { key, value } of kv.list(peerAddressPrefix, { onDamaged })) {
      const peerId = String(key.at(-1));
      try {
        const { addresses } = fromBinary(PeerAddressRecordSchema, value);
        this.#kept.set(peerId, addresses.join());
        await host.remember(peerId, addresses);
      } catch (error) {
        onDamaged(key, error);
      }
    }
  }

  /** Peers whose addresses are known, the one heard of last first. */
  peers(): string[] {
    return [...this.#kept.keys()].reverse();
  }

  /** A connected peer can be reached at `addresses`. They are written soon; a failure is logged. */
  note(peerId: string, addresses: readonly string[]): void {
    const joined = addresses.join();
    if (addresses.length === 0 || this.#kept.get(peerId) === joined) return;
    this.#kept.delete(peerId);
    this.#kept.set(peerId, joined);
    this.#writing = this.#writing.then(() => this.#write(peerId, addresses)).catch((error) => {
      this.#deps.logger.warn("The addresses of a peer could not be kept", { peer: peerId, error });
    });
  }

  /** Waits for what is being written. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
  }

  async #write(peerId: string, addresses: readonly string[]): Promise<void> {
    const record = { addresses: [...addresses], seenAt: toTimestamp(Date.now()) };
    const value = toBinary(PeerAddressRecordSchema, create(PeerAddressRecordSchema, record));
    const forgotten = [...this.#kept.keys()].slice(0, Math.max(0, this.#kept.size - MAX_PEERS));
    for (const oldest of forgotten) this.#kept.delete(oldest);
    await this.#deps.kv.commit([
      { op: "set", key: peerAddressKey(peerId), value },
      ...forgotten.map((oldest) => ({ op: "delete", key: peerAddressKey(oldest) } as const)),
    ]);
  }
}
