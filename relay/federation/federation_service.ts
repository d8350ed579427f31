import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CodedError } from "../../core/errors.ts";
import { FederationService } from "../../gen/agentanycast/v1/federation_pb.ts";
import { toMs } from "../../registry/mod.ts";
import { createRpcService, type RpcContext, type RpcService } from "../../rpc/rpc_service.ts";
import type { Directory } from "../registry/directory.ts";
import { callerOf } from "../services/caller_of.ts";
import type { RequestRate } from "../services/request_rate.ts";
import type { Merge } from "./merge.ts";
import { toldChanges } from "./told_changes.ts";

/** What decoding a request may cost: as many entries as are taken, with some skills each. */
const LIMITS = { maxFields: 100_000, maxDepth: 8 };
/** Entries in an answer when the caller does not say, and at most. */
const USUAL_PULL = 500;
const MAX_PULL = 5_000;
/** Most entries that relays of this program tell each other at once: checking them takes a moment. */
export const MAX_BATCH = 200;
/** Most entries that are taken at once. */
const MAX_PUSH = 1_000;
/** Entries pushed by a relay that nobody has named that count as one change: each is checked, few are news. */
const ENTRIES_PER_CHANGE = 50;

/** What the service works with. */
export interface FederationServiceDeps {
  readonly relayId: string;
  readonly directory: Directory;
  readonly merge: Merge;
  readonly rate: RequestRate;
  /** IP address from which a peer is connected; undefined when it is not. */
  hostOf(peerId: string): string | undefined;
  /** Differs with each run of the relay: cursors of an earlier one mean nothing. */
  readonly epoch: string;
  /** Where this relay can be dialed. */
  addresses(): readonly string[];
  /** Whether the operator has named this relay as one to federate with. */
  isTrusted(relayId: string): boolean;
}

/** `FederationService`, for gRPC and for channels of other relays alike. */
export function createFederationService(deps: FederationServiceDeps): RpcService {
  const { relayId, directory, merge, epoch } = deps;
  return createRpcService(FederationService, {
    syncRegistrations: (request, context) => {
      const caller = relayOf(request.relayId, context);
      deps.rate.takeQuery(callerOf(context, deps.hostOf));
      const asked = request.limit <= 0 ? USUAL_PULL : Math.min(request.limit, MAX_PULL);
      const { transitive } = request;
      const limit = transitive ? Math.min(asked, MAX_BATCH) : asked;
      const after = transitive
        ? numberOf(request.cursor, epoch)
        : request.since === undefined
        ? 0
        : directory.changes.numberBefore(toMs(request.since));
      const startMs = Date.now();
      const told = toldChanges({ directory, relayId }, after, { to: caller, transitive, limit });
      return {
        registrations: told.entries,
        // A cut answer goes on where it ended; a whole one where it began, so that nothing falls between.
        syncTimestamp: timestampFromMs(told.more ? told.lastAtMs : startMs),
        nextCursor: `${epoch}:${told.number}`,
        more: told.more,
        relayId,
        relayAddresses: [...deps.addresses()],
      };
    },
    pushRegistrations: async (request, context) => {
      const caller = relayOf(request.relayId, context);
      if (request.registrations.length > MAX_PUSH) {
        throw new CodedError("invalid_argument", `At most ${MAX_PUSH} registrations are taken at once`);
      }
      const trusted = context.peerId !== undefined && deps.isTrusted(caller);
      if (!trusted) {
        const count = Math.ceil(request.registrations.length / ENTRIES_PER_CHANGE);
        deps.rate.takeChange(callerOf(context, deps.hostOf), count);
      }
      const counts = { accepted: 0, stale: 0, refused: 0 };
      for (const entry of request.registrations) {
        counts[await merge.accept(entry, { relayId: caller, trusted })]++;
      }
      return { accepted: counts.accepted, rejected: counts.stale + counts.refused };
    },
  }, { limits: LIMITS });
}

/** The relay that calls: over libp2p the one that has proven it. */
function relayOf(relayId: string, { peerId }: RpcContext): string {
  if (relayId === "") throw new CodedError("invalid_argument", "relay_id is required");
  if (peerId === undefined || peerId === relayId) return relayId;
  throw new CodedError("permission_denied", `${peerId} is not the relay ${relayId.slice(0, 80)}`);
}

/** The change that a cursor stands for; the beginning for one of another run, or none. */
function numberOf(cursor: string, epoch: string): number {
  const [run, number] = cursor.split(":");
  const parsed = Number(number);
  return run === epoch && Number.isSafeInteger(parsed) && parsed >= 0 ? parsed : 0;
}
