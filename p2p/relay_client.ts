import { CODE_P2P_CIRCUIT, type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { abortable } from "../core/abortable.ts";
import type { Clock } from "../core/clock.ts";
import { CodedError, errorMessage } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { isDialable, isRelayed, throughRelay } from "./address_kind.ts";
import { withDeadline } from "./deadline.ts";
import type { Libp2pNode } from "./libp2p_node.ts";
import { toPeerAddress, toPeerId } from "./peer_address.ts";
import type { PeerTable } from "./peers.ts";
import type { ReservationStore } from "./transports.ts";

/** How often a relay is asked for a sign of life and its reservation is looked at. */
const CHECK_MS = 3_000;
/** A relay without a sign of life for this long is taken for lost, and dialed anew. */
const SILENT_MS = 4_000;
/** How long a reservation may take. */
const RESERVE_TIMEOUT_MS = 5_000;
/** Pause before a relay is asked again that refused, or that relays nothing. */
const ASK_AGAIN_MS = 30_000;
/** Addresses of one relay that are announced. */
const MAX_ADDRESSES_PER_RELAY = 4;
/** Relays announced and used on the way to others, the healthiest. */
const MAX_RELAYS = 8;
/** Weight of the newest round trip in the mean. */
const NEWEST_WEIGHT = 0.3;

/** What a relay is to this node. Times are milliseconds since the epoch. */
export type RelayState =
  | { kind: "unreachable"; reason: string }
  /** Connected, and it relays nothing. */
  | { kind: "no_relay" }
  | { kind: "refused"; reason: string }
  /** Others reach this node at `addresses`, which end in this node's id. */
  | { kind: "reserved"; sinceMs: number; expiresAtMs: number; addresses: readonly string[] };

/** A relay as the user sees it. */
export interface RelayStatus {
  relayId: string;
  state: RelayState;
  /** Mean round trip; undefined while none was measured. */
  roundTripMs: number | undefined;
  /** Where it is connected; undefined when it is not. */
  address: string | undefined;
}

/** What keeping reservations works with. */
export interface RelayClientDeps {
  node: Pick<Libp2pNode, "libp2p" | "reservations" | "announceChanged">;
  peers: Pick<PeerTable, "connectionTo" | "whileConnected">;
  /** Round trip in milliseconds. */
  ping(peerId: string, signal: AbortSignal): Promise<number>;
  /** Sees to it, without being waited for, that the relay tells where it sees this node; asked again and again. */
  lookThrough(relayId: string): void;
  clock: Clock;
  logger: Logger;
}

interface Relay {
  state: RelayState;
  roundTripMs: number | undefined;
  /** How often it was lost; of two with like round trips the steadier one is healthier. */
  losses: number;
  wasReserved: boolean;
}

/** Keeps a place at each of this node's relays, so that others reach it there whatever NAT it is behind. */
export class RelayClient {
  readonly #deps: RelayClientDeps;
  readonly #relays = new Map<string, Relay>();
  readonly #kept = new Set<string>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(deps: RelayClientDeps) {
    this.#deps = deps;
  }

  /** The relays of this node, the healthiest first. */
  statuses(): RelayStatus[] {
    return this.#byHealth().map(([relayId, { state, roundTripMs }]) => ({
      relayId,
      state,
      roundTripMs,
      address: this.#deps.peers.connectionTo(relayId)?.remoteAddr.toString(),
    }));
  }

  /** Where others reach this node through its relays, the healthiest relay first. */
  ownAddresses(): Multiaddr[] {
    return this.#byHealth().slice(0, MAX_RELAYS).flatMap(([, { state }]) =>
      state.kind === "reserved" ? state.addresses.map((address) => multiaddr(address)) : []
    );
  }

  /** Where `peerId` is, should it have a place at one of the relays that this node is connected to. */
  addressesOf(peerId: string): Multiaddr[] {
    return this.#byHealth().slice(0, MAX_RELAYS).flatMap(([relayId, { state }]) => {
      const connection = this.#deps.peers.connectionTo(relayId);
      const relays = connection !== undefined && !isRelayed(connection.remoteAddr) &&
        state.kind !== "no_relay" &&
        relayId !== peerId;
      return relays ? [throughRelay(toPeerAddress(connection.remoteAddr.toString(), relayId), peerId)] : [];
    });
  }

  /** Whether this node has or had a place at `relayId`. */
  isRelay(relayId: string): boolean {
    return this.#relays.get(relayId)?.wasReserved ?? false;
  }

  /** Whether `relayId` is connected and asked for a place. */
  keeps(relayId: string): boolean {
    return this.#kept.has(relayId);
  }

  /** A relay could not be reached. */
  unreachable(relayId: string, error: unknown): void {
    this.#set(relayId, { kind: "unreachable", reason: errorMessage(error) });
  }

  /**
   * Asks a connected relay for a place and keeps it; resolves when the connection is gone or `signal` fires. A relay that
   * stays silent is disconnected.
   */
  async whileConnected(relayId: string, signal: AbortSignal): Promise<void> {
    const lost = new AbortController();
    const ends = AbortSignal.any([signal, lost.signal]);
    const gone = this.#deps.peers.whileConnected(relayId, ends).then(() => lost.abort());
    let askAtMs = 0;
    this.#kept.add(relayId);
    try {
      while (!ends.aborted) {
        if (this.#deps.clock.now() >= askAtMs && !this.#isReserved(relayId)) {
          const reserved = await this.#reserve(relayId, ends);
          askAtMs = reserved ? 0 : this.#deps.clock.now() + ASK_AGAIN_MS;
        }
        await this.#checkLife(relayId, ends);
        this.#deps.lookThrough(relayId);
        await this.#deps.clock.sleep(CHECK_MS, ends);
      }
    } catch (error) {
      if (!ends.aborted) throw error;
    } finally {
      this.#kept.delete(relayId);
      lost.abort();
      await gone;
      const relay = this.#relays.get(relayId);
      if (relay !== undefined && !signal.aborted) relay.losses++;
      this.unreachable(relayId, "the connection was lost");
    }
  }

  /** Whether there is a place that lasts; one about to run out is asked for anew. */
  #isReserved(relayId: string): boolean {
    const relay = this.#relays.get(relayId);
    const kept = this.#store.getReservation(toPeerId(relayId));
    if (relay?.state.kind !== "reserved" || kept === undefined) return false;
    const leftMs = Number(kept.expire) * 1000 - this.#deps.clock.now();
    return leftMs > 3 * CHECK_MS;
  }

  async #reserve(relayId: string, signal: AbortSignal): Promise<boolean> {
    const id = toPeerId(relayId);
    try {
      await this.#inTurn(() =>
        withDeadline(
          { timeoutMs: RESERVE_TIMEOUT_MS, signal },
          (deadline) => abortable(this.#store.addRelay(id, "configured"), deadline),
        )
      );
    } catch (error) {
      if (signal.aborted) throw error;
      const speaksNone = error instanceof Error && error.name === "UnsupportedProtocolError";
      this.#set(relayId, speaksNone ? { kind: "no_relay" } : { kind: "refused", reason: toReason(error) });
      return false;
    }
    const kept = this.#store.getReservation(id);
    if (kept === undefined) return false;
    this.#set(relayId, {
      kind: "reserved",
      sinceMs: this.#deps.clock.now(),
      expiresAtMs: Number(kept.expire) * 1000,
      addresses: this.#addressesAt(relayId, kept.addrs),
    });
    return true;
  }

  /** One after the other: libp2p forgets the requests that wait for one that is granted. */
  #inTurn(work: () => Promise<unknown>): Promise<unknown> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {
      // Whoever asked is told; the next one has its turn all the same.
    });
    return turn;
  }

  /** Our addresses at a relay: those that the relay tells of itself, and the one at which we reached it. */
  #addressesAt(relayId: string, told: readonly Uint8Array[]): string[] {
    const { node, peers } = this.#deps;
    const from = peers.connectionTo(relayId)?.remoteAddr;
    if (from === undefined) return [];
    const own = node.libp2p.peerId.toString();
    const addresses = [from, ...told.map((bytes) => multiaddr(bytes))]
      .filter((address) => !address.getComponents().some(({ code }) => code === CODE_P2P_CIRCUIT))
      .filter((address) => address.equals(from) || isDialable(address, { from }))
      .map((address) => throughRelay(toPeerAddress(address.toString(), relayId), own).toString());
    return [...new Set(addresses)].slice(0, MAX_ADDRESSES_PER_RELAY);
  }

  async #checkLife(relayId: string, signal: AbortSignal): Promise<void> {
    try {
      const roundTripMs = await withDeadline(
        { timeoutMs: SILENT_MS, signal },
        (deadline) => this.#deps.ping(relayId, deadline),
      );
      const relay = this.#relays.get(relayId);
      if (relay === undefined) return;
      const before = relay.roundTripMs ?? roundTripMs;
      relay.roundTripMs = before + (roundTripMs - before) * NEWEST_WEIGHT;
    } catch (error) {
      if (signal.aborted || (error instanceof CodedError && error.code === "unimplemented")) return;
      const silent = new CodedError("unavailable", "The relay gives no sign of life", { cause: error });
      for (const connection of this.#deps.node.libp2p.getConnections(toPeerId(relayId))) {
        connection.abort(silent);
      }
    }
  }

  #byHealth(): [string, Relay][] {
    const cost = ({ state, roundTripMs, losses }: Relay) =>
      (state.kind === "reserved" ? 0 : 1e9) + (roundTripMs ?? 1_000) * (1 + losses / 4);
    return [...this.#relays].sort(([, a], [, b]) => cost(a) - cost(b));
  }

  #set(relayId: string, state: RelayState): void {
    const { logger, node } = this.#deps;
    const before = this.#relays.get(relayId);
    const wasReserved = before?.wasReserved === true || state.kind === "reserved";
    this.#relays.set(relayId, { roundTripMs: undefined, losses: 0, ...before, wasReserved, state });
    const changed = before?.state.kind !== state.kind;
    if (state.kind === "reserved" || before?.state.kind === "reserved") node.announceChanged();
    if (!changed) return;
    switch (state.kind) {
      case "reserved":
        return logger.info("Reachable through a relay", { relay: relayId, addresses: state.addresses });
      case "refused":
        return logger.warn("A relay gives this node no place, will ask again", {
          relay: relayId,
          reason: state.reason,
        });
      case "no_relay":
        return logger.debug("A bootstrap peer relays nothing", { peer: relayId });
      case "unreachable":
        return before?.state.kind === "reserved"
          ? logger.warn("Lost a relay, will come back to it", { relay: relayId })
          : undefined;
      default:
        return state satisfies never;
    }
  }

  get #store(): ReservationStore {
    return this.#deps.node.reservations;
  }
}

/** What a relay answered, in words. */
function toReason(error: unknown): string {
  const text = errorMessage(error);
  const status = /status ([A-Z_]+)/.exec(text)?.[1];
  switch (status) {
    case "RESERVATION_REFUSED":
      return "it has no free place; use another relay, or raise its limit of reservations";
    case "RESOURCE_LIMIT_EXCEEDED":
      return "a limit of it is reached; use another relay, or raise its limits";
    case "PERMISSION_DENIED":
      return "it does not allow this node; ask its operator, or use another relay";
    default:
      return text;
  }
}
