import type { KadDHT, QueryEvent } from "@libp2p/kad-dht";
import { CID } from "multiformats/cid";
import * as raw from "multiformats/codecs/raw";
import { sha256 } from "multiformats/hashes/sha2";
import { MAX_ADDRESSES_PER_PEER } from "./constants.ts";
import type { CallOptions } from "./outbound.ts";

/** A peer that provides something, and where it says it can be dialed. */
export interface Provider {
  readonly peerId: string;
  readonly addresses: readonly string[];
}

/**
 * The distributed hash table: who provides what, and small records, kept by the peers together. Calls end without an error
 * when nobody can be asked: what they answer tells how far they got.
 */
export interface Dht {
  /** Peers of the table that can be asked. */
  readonly size: number;
  /** Whether this node keeps things for others. */
  readonly mode: "client" | "server";
  /** Tells that this node provides `name`; answers how many peers know it. It has to be told again within a day. */
  provide(name: string, options?: CallOptions): Promise<number>;
  /** Tells it no more; those who know it forget it within two days. */
  stopProviding(name: string): Promise<void>;
  /** Peers that provide `name`, each once, as they are found: 20 at most. */
  findProviders(name: string, options?: CallOptions): AsyncIterable<Provider>;
  /** Stores a record, which has to be one that the validator takes; answers how many other peers have it. */
  put(key: string, value: Uint8Array, options?: CallOptions): Promise<number>;
  /** The best record that is found. */
  get(key: string, options?: CallOptions): Promise<Uint8Array | undefined>;
}

/** The key of a name in the table: CIDv1, raw, SHA-256 of the name's UTF-8 bytes. */
export async function keyOf(name: string): Promise<CID> {
  return CID.createV1(raw.code, await sha256.digest(new TextEncoder().encode(name)));
}

/** {@link Dht} over libp2p's. */
export function toDht(kad: KadDHT & { routingTable: { readonly size: number } }): Dht {
  return {
    get size() {
      return kad.routingTable.size;
    },
    get mode() {
      return kad.getMode();
    },
    async provide(name, options = {}) {
      return await countAnswers(kad.provide(await keyOf(name), signalOf(options)), options);
    },
    stopProviding: async (name) => await kad.cancelReprovide(await keyOf(name)),
    async *findProviders(name, options = {}) {
      const seen = new Set<string>();
      for await (
        const event of untilGivenUp(kad.findProviders(await keyOf(name), signalOf(options)), options)
      ) {
        if (event.name !== "PROVIDER") continue;
        for (const { id, multiaddrs } of event.providers) {
          const peerId = id.toString();
          if (seen.has(peerId)) continue;
          seen.add(peerId);
          yield { peerId, addresses: multiaddrs.slice(0, MAX_ADDRESSES_PER_PEER).map(String) };
        }
      }
    },
    async put(key, value, options = {}) {
      const events = kad.put(new TextEncoder().encode(key), value, signalOf(options));
      return await countAnswers(
        events,
        options,
        (event) => event.name === "PEER_RESPONSE" && event.record !== undefined,
      );
    },
    async get(key, options = {}) {
      let best: Uint8Array | undefined;
      const events = kad.get(new TextEncoder().encode(key), signalOf(options));
      for await (const event of untilGivenUp(events, options)) if (event.name === "VALUE") best = event.value;
      return best;
    },
  };
}

async function countAnswers(
  events: AsyncIterable<QueryEvent>,
  options: CallOptions,
  isOne: (event: QueryEvent) => boolean = (event) =>
    event.name === "PEER_RESPONSE" && event.messageName === "ADD_PROVIDER",
): Promise<number> {
  let count = 0;
  for await (const event of untilGivenUp(events, options)) if (isOne(event)) count++;
  return count;
}

/** The events up to the end, or to where the caller or the table gave up. */
async function* untilGivenUp(
  events: AsyncIterable<QueryEvent>,
  { signal }: CallOptions,
): AsyncGenerator<QueryEvent> {
  try {
    for await (const event of events) {
      if (signal?.aborted) return;
      yield event;
    }
  } catch (error) {
    if (!signal?.aborted && !isNothingFound(error)) throw error;
  }
}

function isNothingFound(error: unknown): boolean {
  const name = error instanceof Error ? error.name : "";
  return ["NotFoundError", "QueryError", "AbortError", "TimeoutError", "QueryAbortedError"].includes(name);
}

function signalOf({ signal }: CallOptions): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
