import type { Connection, Libp2p, PeerId, PrivateKey, Stream } from "@libp2p/interface";
import { RecordEnvelope } from "@libp2p/peer-record";
import { peerIdFromMultihash } from "@libp2p/peer-id";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { lpStream } from "@libp2p/utils";
import { CODE_P2P_CIRCUIT } from "@multiformats/multiaddr";
import * as Digest from "multiformats/hashes/digest";
import { errorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { steadiest } from "../circuit_dial.ts";
import { withDeadline } from "../deadline.ts";
import { Beginning } from "./beginning.ts";
import { Circuit } from "./circuit.ts";
import {
  type CircuitLimit,
  decodeHopRequest,
  decodeStopStatus,
  EAGER_HOP_PROTOCOL,
  encodeHopStatus,
  encodeStopConnect,
  encodeVoucher,
  HOP_PROTOCOL,
  HOP_STATUS,
  type HopStatus,
  MAX_HOP_MESSAGE_BYTES,
  STOP_PROTOCOL,
} from "./hop_messages.ts";
import type { RelayLimits } from "./relay_limits.ts";
import { type RelayLimitName, Reservations } from "./reservations.ts";

/** Longest time for the talk about one reservation or circuit. */
const HOP_TIMEOUT_MS = 30_000;
/** Requests of one peer that may be in the middle of that talk. */
const MAX_HOP_STREAMS = 64;
/** Domain and payload type of a voucher (libp2p circuit relay v2 specification). */
const VOUCHER_DOMAIN = "libp2p-relay-rsvp";
const VOUCHER_CODEC = Uint8Array.of(0x03, 0x02);
/** Keeps peers with a reservation from being trimmed. */
const RESERVATION_TAG = "agentanycast-reservation";

/** What a relay has done since it started, and what is open. */
export interface RelayServerStats {
  readonly reservations: number;
  readonly circuits: number;
  /** Circuits that came about. */
  readonly circuitsOpened: number;
  /** Bytes carried, both directions. */
  readonly bytes: number;
  readonly reservationsGranted: number;
  /** Refusals by the limit that was reached, or by reason. */
  readonly refusals: Readonly<Record<string, number>>;
}

/** What a relay server works with. */
export interface RelayServerDeps {
  readonly libp2p: Libp2p;
  /** Signs the vouchers. */
  readonly privateKey: PrivateKey;
  readonly logger: Logger;
  /** Milliseconds since the Unix epoch. Default `Date.now`. */
  readonly now?: () => number;
}

/**
 * Circuit relay v2: peers that nobody can dial get a place here, and others reach them through it. Written out because
 * libp2p's own has neither limits per address or peer nor for all circuits, keeps places of peers that have gone, and tells
 * the duration in the wrong unit.
 */
export class RelayServer implements Disposable {
  readonly #deps: RelayServerDeps;
  readonly #limits: RelayLimits;
  readonly #reservations: Reservations;
  readonly #circuits = new Set<Circuit>();
  readonly #circuitsOf = new Map<string, number>();
  /** Circuits that are being talked about: they take a place each. */
  #beginning = 0;
  readonly #refusals = new Map<string, number>();
  #circuitsOpened = 0;
  #granted = 0;
  #bytes = 0;

  constructor(deps: RelayServerDeps, limits: RelayLimits) {
    this.#deps = deps;
    this.#limits = limits;
    this.#reservations = new Reservations(limits, deps.now ?? Date.now);
    deps.libp2p.addEventListener(
      "peer:disconnect",
      ({ detail }) => this.#reservations.delete(detail.toString()),
    );
  }

  get stats(): RelayServerStats {
    return {
      reservations: this.#reservations.size,
      circuits: this.#circuits.size,
      circuitsOpened: this.#circuitsOpened,
      bytes: this.#bytes,
      reservationsGranted: this.#granted,
      refusals: Object.fromEntries(this.#refusals),
    };
  }

  /** Whether a peer has a place here and is connected. */
  hasReservation(peerId: string): boolean {
    return this.#reservations.has(peerId);
  }

  /** Begins to serve. */
  async start(): Promise<void> {
    for (const protocol of [HOP_PROTOCOL, EAGER_HOP_PROTOCOL]) {
      await this.#deps.libp2p.handle(protocol, (stream, connection) => this.#serve(stream, connection), {
        maxInboundStreams: MAX_HOP_STREAMS + this.#limits.maxCircuitsPerPeer,
        runOnLimitedConnection: true, // to refuse them, as the specification wants
      });
    }
  }

  /** Ends all circuits. */
  [Symbol.dispose](): void {
    for (const circuit of this.#circuits) circuit.abort(new Error("The relay is stopping"));
  }

  async #serve(stream: Stream, connection: Connection): Promise<void> {
    const messages = lpStream(stream, { maxDataLength: MAX_HOP_MESSAGE_BYTES });
    const peerId = connection.remotePeer.toString();
    try {
      await withDeadline({ timeoutMs: HOP_TIMEOUT_MS }, async (signal) => {
        const request = decodeHopRequest((await messages.read({ signal })).subarray());
        messages.unwrap(); // what comes behind the request is for whom the circuit leads to
        const talk = { stream, connection, peerId, signal };
        if (connection.remoteAddr.getComponents().some(({ code }) => code === CODE_P2P_CIRCUIT)) {
          await this.#refuse(talk, HOP_STATUS.permissionDenied, "relayed");
        } else if (request.type === "reserve") await this.#reserve(talk);
        else if (request.type === "connect") await this.#connect(talk, request.peer);
        else await this.#refuse(talk, HOP_STATUS.unexpectedMessage, "unexpected");
      });
    } catch (error) {
      this.#deps.logger.debug("A request to the relay failed", { peerId, reason: errorMessage(error) });
      stream.abort(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #reserve(talk: Talk): Promise<void> {
    const { peerId, connection } = talk;
    const answer = this.#reservations.reserve(peerId, hostOf(connection));
    if ("limit" in answer) {
      return await this.#refuse(talk, HOP_STATUS.reservationRefused, answer.limit);
    }
    const { libp2p } = this.#deps;
    const expiresAtSeconds = Math.floor(answer.expiresAtMs / 1000);
    const voucher = await this.#seal(connection.remotePeer, expiresAtSeconds);
    await libp2p.peerStore.merge(connection.remotePeer, {
      tags: { [RESERVATION_TAG]: { value: 100, ttl: this.#limits.reservationTtlMs } },
    });
    const addresses = libp2p.getMultiaddrs().map(({ bytes }) => bytes);
    say(talk, HOP_STATUS.ok, {
      reservation: { expiresAtSeconds, addresses, voucher },
      limit: this.#limit(),
    });
    this.#granted++;
    await closeBoth(talk);
  }

  async #connect(talk: Talk, target: Uint8Array | undefined): Promise<void> {
    const { peerId } = talk;
    const to = toPeerId(target);
    if (to === undefined) return await this.#refuse(talk, HOP_STATUS.malformedMessage, "malformed");
    const toId = to.toString();
    const there = steadiest(this.#deps.libp2p.getConnections(to));
    if (!this.#reservations.has(toId) || there === undefined) {
      return await this.#refuse(talk, HOP_STATUS.noReservation, "noReservation");
    }
    const limit = this.#circuitLimit([peerId, toId]);
    if (limit !== undefined) return await this.#refuse(talk, HOP_STATUS.resourceLimitExceeded, limit);
    this.#count([peerId, toId], 1);
    this.#beginning++;
    let other: Stream | undefined;
    try {
      other = await this.#offer(there, talk);
      say(talk, HOP_STATUS.ok, { limit: this.#limit() });
    } catch (error) {
      this.#count([peerId, toId], -1);
      other?.abort(error instanceof Error ? error : new Error(String(error)));
      if (other !== undefined) throw error;
      return await this.#refuse(talk, HOP_STATUS.connectionFailed, "connectionFailed");
    } finally {
      this.#beginning--;
    }
    this.#join([talk.stream, other], [peerId, toId]);
  }

  /**
   * Offers a circuit to the peer at its end, with what has come of it already; the stream of the circuit. Throws when the peer
   * does not take it.
   */
  async #offer(to: Connection, { stream: asking, connection, signal }: Talk): Promise<Stream> {
    using beginning = new Beginning(asking);
    const stream = await to.newStream(STOP_PROTOCOL, {
      signal,
      maxOutboundStreams: this.#limits.maxCircuitsPerPeer,
    });
    try {
      const messages = lpStream(stream, { maxDataLength: MAX_HOP_MESSAGE_BYTES });
      const offer = encodeStopConnect(connection.remotePeer.toMultihash().bytes, this.#limit());
      await messages.write(offer, { signal });
      const begun = beginning.take();
      if (begun.byteLength > 0) stream.send(begun);
      this.#bytes += begun.byteLength;
      const status = decodeStopStatus((await messages.read({ signal })).subarray());
      if (status !== HOP_STATUS.ok) throw new Error(`the peer answered ${status}`);
      return messages.unwrap();
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }

  #join(ends: readonly [Stream, Stream], peerIds: readonly string[]): void {
    this.#circuitsOpened++;
    const circuit = new Circuit(ends, {
      limits: this.#limits,
      onBytes: (count) => this.#bytes += count,
      onEnd: (limit) => {
        this.#circuits.delete(circuit);
        this.#count(peerIds, -1);
        if (limit !== undefined) this.#note(limit, peerIds[0]);
      },
    });
    this.#circuits.add(circuit);
  }

  #circuitLimit(peerIds: readonly string[]): RelayLimitName | undefined {
    const { maxCircuits, maxCircuitsPerPeer } = this.#limits;
    if (this.#circuits.size + this.#beginning >= maxCircuits) return "maxCircuits";
    const isFull = peerIds.some((id) => (this.#circuitsOf.get(id) ?? 0) >= maxCircuitsPerPeer);
    return isFull ? "maxCircuitsPerPeer" : undefined;
  }

  #count(peerIds: readonly string[], change: 1 | -1): void {
    for (const peerId of peerIds) {
      const count = (this.#circuitsOf.get(peerId) ?? 0) + change;
      if (count > 0) this.#circuitsOf.set(peerId, count);
      else this.#circuitsOf.delete(peerId);
    }
  }

  async #refuse(talk: Talk, status: HopStatus, reason: string): Promise<void> {
    this.#note(reason, talk.peerId);
    say(talk, status);
    await closeBoth(talk);
  }

  #note(reason: string, peerId: string | undefined): void {
    this.#refusals.set(reason, (this.#refusals.get(reason) ?? 0) + 1);
    const limit = reason in this.#limits ? this.#limits[reason as RelayLimitName] : undefined;
    this.#deps.logger.info("The relay refused or ended something", { peerId, reason, limit });
  }

  #limit(): CircuitLimit {
    const { circuitDurationMs, circuitBytes } = this.#limits;
    return { durationSeconds: Math.floor(circuitDurationMs / 1000), dataBytes: circuitBytes };
  }

  async #seal(peer: PeerId, expiresAtSeconds: number): Promise<Uint8Array> {
    const { libp2p, privateKey } = this.#deps;
    const payload = encodeVoucher(
      libp2p.peerId.toMultihash().bytes,
      peer.toMultihash().bytes,
      expiresAtSeconds,
    );
    const record = {
      domain: VOUCHER_DOMAIN,
      codec: VOUCHER_CODEC,
      marshal: () => payload,
      equals: () => false,
    };
    return (await RecordEnvelope.seal(record, privateKey)).marshal();
  }
}

/** The talk about one request. */
interface Talk {
  readonly stream: Stream;
  readonly connection: Connection;
  readonly peerId: string;
  readonly signal: AbortSignal;
}

/** Answers are short: they fit into any stream's window. */
function say({ stream }: Talk, ...said: Parameters<typeof encodeHopStatus>): void {
  stream.send(new BinaryWriter().bytes(encodeHopStatus(...said)).finish());
}

async function closeBoth({ stream, signal }: Talk): Promise<void> {
  await stream.close({ signal });
  await stream.closeRead({ signal });
}

function toPeerId(multihash: Uint8Array | undefined): PeerId | undefined {
  if (multihash === undefined) return undefined;
  try {
    return peerIdFromMultihash(Digest.decode(multihash) as Parameters<typeof peerIdFromMultihash>[0]);
  } catch {
    return undefined; // any bytes may come
  }
}

/** The host of the far end of a direct connection. */
function hostOf(connection: Connection): string {
  return connection.remoteAddr.getComponents()[0]?.value ?? "";
}
