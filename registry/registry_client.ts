import { CodedError } from "../core/errors.ts";
import { RegistryService } from "../gen/agentanycast/v1/registry_service_pb.ts";
import {
  checkRegistryFacts,
  MAX_RECORD_ADDRESSES,
  openRegistryRecord,
  type RegistryRecord,
  type SignedRegistryRecord,
} from "../identity/mod.ts";
import type { CallsClient } from "../rpc/channel_calls.ts";
import { fromQuery, fromRegistrySkill, toMs, toRegistration } from "./convert.ts";
import type { Lease, Registration, RegistryPage, RegistryQuery } from "./model.ts";

/** Longest time for one answer, in milliseconds. */
const CALL_TIMEOUT_MS = 5_000;
/** How long registrations live at a registry that does not say, in milliseconds. */
const USUAL_TTL_MS = 30_000;

/** What a client works with. */
export interface RegistryClientDeps {
  /** Calls over a channel to the relay, or by gRPC. Disposed with the client. */
  readonly calls: CallsClient;
  /** Milliseconds since the Unix epoch. Default `Date.now`. */
  readonly now?: () => number;
}

/** How a call is given up. */
export interface RegistryCallOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * The registry of one relay, of this program or of the existing network. It keeps nothing; every call throws `unavailable`
 * when the relay cannot be reached and `deadline_exceeded` after 5 s.
 */
export class RegistryClient implements Disposable {
  readonly #calls: CallsClient;
  readonly #now: () => number;

  constructor({ calls, now = Date.now }: RegistryClientDeps) {
    this.#calls = calls;
    this.#now = now;
  }

  /**
   * Registers a peer by its record, in place of an earlier one. Throws `aborted` when the registry has one with the same or a
   * later sequence, `resource_exhausted` when it is full.
   */
  async register(
    { record, signed }: { record: RegistryRecord; signed: SignedRegistryRecord },
    { signal }: RegistryCallOptions = {},
  ): Promise<Lease> {
    const { expiresAt, ttlMs, relayId } = await this.#calls.unary(RegistryService.method.registerSkills, {
      // Said twice: relays of the existing network do not know of records.
      peerId: record.peerId,
      agentName: record.name,
      agentDescription: record.description,
      skills: record.skills.map(fromRegistrySkill),
      addresses: [...record.addresses],
      signedRecord: { ...signed },
    }, { timeoutMs: CALL_TIMEOUT_MS, signal });
    return { ttlMs: ttlMs || this.#ttlUntil(toMs(expiresAt)), relayId };
  }

  /** Renews a registration. Throws `not_found` when the registry has none, or not any more: register again. */
  async heartbeat(peerId: string, { signal }: RegistryCallOptions = {}): Promise<Lease> {
    const { expiresAt, ttlMs } = await this.#calls.unary(RegistryService.method.heartbeat, { peerId }, {
      timeoutMs: CALL_TIMEOUT_MS,
      signal,
    });
    return { ttlMs: ttlMs || this.#ttlUntil(toMs(expiresAt)), relayId: "" };
  }

  /** Takes a registration back by a record that says `removed`; none there is fine. */
  async unregister(
    { record, signed }: { record: RegistryRecord; signed: SignedRegistryRecord },
    { signal }: RegistryCallOptions = {},
  ): Promise<void> {
    await this.#calls.unary(RegistryService.method.unregisterSkills, {
      peerId: record.peerId,
      signedRecord: { ...signed },
    }, { timeoutMs: CALL_TIMEOUT_MS, signal });
  }

  /**
   * A page of the registrations that fit `query`. Signed ones are taken from what the peer signed; those whose record does
   * not hold are left out: the relay, or one it has them from, made them up or keeps them for too long. So are unsigned ones
   * that no registry may take.
   */
  async find(query: RegistryQuery, { signal }: RegistryCallOptions = {}): Promise<RegistryPage> {
    const { agents, nextPageToken } = await this.#calls.unary(
      RegistryService.method.discoverBySkill,
      fromQuery(query),
      { timeoutMs: CALL_TIMEOUT_MS, signal },
    );
    return { agents: agents.map(toRegistration).flatMap((agent) => this.#check(agent)), nextPageToken };
  }

  [Symbol.dispose](): void {
    this.#calls[Symbol.dispose]();
  }

  #check(agent: Registration): readonly Registration[] {
    const nowMs = this.#now();
    const lastSeenMs = Math.max(0, Math.min(agent.lastSeenMs, nowMs)) || 0; // others may be no date at all
    try {
      if (agent.signed === undefined) {
        checkRegistryFacts(agent);
        return [{ ...agent, lastSeenMs, verified: false }];
      }
      const { peerId, name, description, skills, addresses, removed } = openRegistryRecord(agent.signed, {
        nowMs,
      });
      if (removed || peerId !== agent.peerId) return [];
      const reachable = [...new Set([...addresses, ...agent.addresses])].slice(0, MAX_RECORD_ADDRESSES);
      return [{ ...agent, name, description, skills, lastSeenMs, addresses: reachable, verified: true }];
    } catch (error) {
      if (error instanceof CodedError) return [];
      throw error;
    }
  }

  /** The rest of a lease by the relay's clock, kept within what makes sense by ours. */
  #ttlUntil(expiresAtMs: number): number {
    const ttlMs = expiresAtMs - this.#now();
    return ttlMs > 0 ? Math.min(ttlMs, 10 * USUAL_TTL_MS) : USUAL_TTL_MS;
  }
}
