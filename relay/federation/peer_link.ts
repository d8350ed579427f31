import type { Clock } from "../../core/clock.ts";
import { errorMessage, toCodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import {
  FederationService,
  type SyncRegistrationsResponse,
} from "../../gen/agentanycast/v1/federation_pb.ts";
import type { CallsClient } from "../../rpc/channel_calls.ts";
import type { Directory } from "../registry/directory.ts";
import { MAX_BATCH } from "./federation_service.ts";
import type { Merge } from "./merge.ts";
import { toldChanges } from "./told_changes.ts";

/** Longest time for one answer of another relay, in milliseconds. */
const CALL_TIMEOUT_MS = 10_000;
/** Pauses after failures in a row, in milliseconds: they double. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** Changes of this time are told together, in milliseconds. */
const GATHER_MS = 50;
/** Entries asked for at once of a relay that cannot be asked on: more than it can have. */
const WHOLE_PULL = 5_000;

/** How a relay is spoken to. */
export interface Line {
  readonly calls: CallsClient;
  readonly kind: "grpc" | "libp2p";
}

/** What a link works with. */
export interface PeerLinkDeps {
  /** As the operator has written it. */
  readonly address: string;
  readonly relayId: string;
  readonly directory: Directory;
  readonly merge: Merge;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Opens the way to it. Throws what keeps it from that. */
  open(signal: AbortSignal): Promise<Line>;
  /** A way on which both have proven who they are; undefined when there is none. */
  upgrade(relayId: string, addresses: readonly string[], signal: AbortSignal): Promise<Line | undefined>;
  /** Told who answers at the address, which the operator trusts. */
  onRelay(relayId: string): void;
  onSync(seconds: number): void;
  onError(): void;
}

/** How it stands with a relay that registrations are shared with. */
export interface PeerStatus {
  readonly address: string;
  /** Peer id; empty while it has not said. */
  readonly relayId: string;
  readonly line: Line["kind"] | undefined;
  readonly healthy: boolean;
  readonly consecutiveFailures: number;
  readonly lastError: string;
  /** Milliseconds since the Unix epoch; 0 for never, or no pause. */
  readonly lastSyncMs: number;
  readonly pauseUntilMs: number;
  /** Entries taken from it and told to it since the start. */
  readonly received: number;
  readonly sent: number;
}

/** Shares registrations with one relay: takes its changes, tells it ours, at once and again after every failure. */
export class PeerLink {
  readonly #deps: PeerLinkDeps;
  #line: Line | undefined;
  #status: PeerStatus;
  /** What it was asked up to; empty for a relay that does not count changes. */
  #cursor = "";
  /** Up to which of our changes it has been told. */
  #toldNumber = 0;
  /** Peers that a relay of the existing network told of last time. */
  #lastWhole = new Set<string>();
  #wake = new AbortController();

  constructor(deps: PeerLinkDeps) {
    this.#deps = deps;
    this.#status = {
      ...{ address: deps.address, relayId: "", line: undefined, healthy: false, lastError: "not asked yet" },
      ...{ consecutiveFailures: 0, lastSyncMs: 0, pauseUntilMs: 0, received: 0, sent: 0 },
    };
  }

  get status(): PeerStatus {
    return this.#status;
  }

  /** Something has changed here. */
  wake(): void {
    this.#wake.abort();
  }

  /** Runs until `signal` fires. Never rejects. */
  async run(intervalMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    let pullAtMs = 0;
    while (!signal.aborted) {
      try {
        if (clock.now() >= pullAtMs) {
          await this.#pull(signal);
          pullAtMs = clock.now() + intervalMs;
        }
        await this.#push(signal);
        await this.#pause(pullAtMs - clock.now(), signal);
      } catch (error) {
        if (signal.aborted) break;
        pullAtMs = 0;
        await this.#onFailure(error, signal);
      }
    }
    this.#close();
  }

  async #pull(signal: AbortSignal): Promise<void> {
    const startMs = performance.now();
    let answer: SyncRegistrationsResponse;
    const seen = new Set<string>();
    do {
      const line = this.#line ??= await this.#deps.open(signal);
      answer = await line.calls.unary(FederationService.method.syncRegistrations, {
        relayId: this.#deps.relayId,
        limit: WHOLE_PULL,
        cursor: this.#cursor,
        transitive: true,
      }, { timeoutMs: CALL_TIMEOUT_MS, signal });
      const from = { relayId: answer.relayId || this.#deps.address, trusted: true };
      for (const entry of answer.registrations) {
        seen.add(entry.peerId);
        if (await this.#deps.merge.accept(entry, from) === "accepted") {
          this.#update({ received: this.#status.received + 1 });
        }
      }
      this.#cursor = answer.nextCursor;
    } while (answer.more && !signal.aborted);
    if (this.#cursor === "") this.#dropVanished(seen);
    await this.#meet(answer, signal);
    this.#deps.onSync((performance.now() - startMs) / 1000);
  }

  /** A relay of the existing network does not say what has gone: what it tells no more has. */
  #dropVanished(seen: Set<string>): void {
    const { directory, clock } = this.#deps;
    for (const peerId of this.#lastWhole) {
      const entry = directory.elsewhere.get(peerId);
      if (seen.has(peerId) || entry?.path.at(-1) !== this.#deps.address) continue;
      const { signed, sequence, viaRelayId: origin, version, path } = entry;
      directory.withdraw({
        ...{ peerId, byPeer: false, signed, sequence, origin, version: version + 1n, path },
        atMs: clock.now(),
        keepUntilMs: clock.now(),
      });
    }
    this.#lastWhole = seen;
  }

  /** Notes who answered, and goes over to a way on which both are proven to be who they say. */
  async #meet({ relayId, relayAddresses }: SyncRegistrationsResponse, signal: AbortSignal): Promise<void> {
    if (relayId !== "") this.#deps.onRelay(relayId);
    if (relayId !== "" && this.#line?.kind === "grpc") {
      const upgraded = await this.#deps.upgrade(relayId, relayAddresses, signal);
      if (upgraded !== undefined) {
        this.#close();
        this.#line = upgraded;
      }
    }
    const { consecutiveFailures } = this.#status;
    if (consecutiveFailures > 0 || this.#status.lastSyncMs === 0) {
      this.#deps.logger.info("Federated with a relay", {
        address: this.#deps.address,
        relayId,
        line: this.#line?.kind,
      });
    }
    this.#update({
      ...{
        relayId,
        line: this.#line?.kind,
        healthy: true,
        consecutiveFailures: 0,
        lastError: "",
        pauseUntilMs: 0,
      },
      lastSyncMs: this.#deps.clock.now(),
    });
  }

  async #push(signal: AbortSignal): Promise<void> {
    const { directory, relayId } = this.#deps;
    const transitive = this.#cursor !== "";
    const to = this.#status.relayId || this.#deps.address;
    while (this.#line !== undefined && this.#toldNumber < directory.changes.number && !signal.aborted) {
      const told = toldChanges({ directory, relayId }, this.#toldNumber, {
        to,
        transitive,
        limit: MAX_BATCH,
      });
      if (told.entries.length > 0) {
        await this.#line.calls.unary(FederationService.method.pushRegistrations, {
          relayId,
          registrations: told.entries,
        }, { timeoutMs: CALL_TIMEOUT_MS, signal });
        this.#update({ sent: this.#status.sent + told.entries.length });
      }
      this.#toldNumber = told.number;
    }
  }

  /** Until it is time to ask again, or something has changed here. */
  async #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    const { clock, directory } = this.#deps;
    this.#wake = new AbortController();
    if (this.#toldNumber < directory.changes.number) return;
    try {
      await clock.sleep(Math.max(0, delayMs), AbortSignal.any([signal, this.#wake.signal]));
    } catch {
      if (!signal.aborted) await clock.sleep(GATHER_MS, signal);
    }
  }

  async #onFailure(error: unknown, signal: AbortSignal): Promise<void> {
    const { clock, logger, address } = this.#deps;
    this.#close();
    this.#deps.onError();
    const consecutiveFailures = this.#status.consecutiveFailures + 1;
    const doubled = FIRST_PAUSE_MS * 2 ** Math.min(consecutiveFailures - 1, 10);
    const pauseMs = Math.min(LONGEST_PAUSE_MS, doubled) * (0.5 + Math.random() / 2);
    const lastError = errorMessage(toCodedError(error).code === "internal" ? error : toCodedError(error));
    if (consecutiveFailures === 1) {
      logger.warn("Cannot share registrations with a relay", { address, reason: lastError });
    }
    this.#update({
      ...{ healthy: false, line: undefined, consecutiveFailures, lastError },
      pauseUntilMs: clock.now() + pauseMs,
    });
    try {
      await clock.sleep(pauseMs, signal);
    } catch {
      // The signal: the loop ends by itself.
    }
  }

  #close(): void {
    this.#line?.calls[Symbol.dispose]();
    this.#line = undefined;
  }

  #update(change: Partial<PeerStatus>): void {
    this.#status = { ...this.#status, ...change };
  }
}
