import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CodedError } from "../../core/errors.ts";
import { RegistryService } from "../../gen/agentanycast/v1/registry_service_pb.ts";
import { fromRegistration, toQuery, toRegistrySkill, toSignedRecord } from "../../registry/mod.ts";
import { createRpcService, type RpcContext, type RpcService } from "../../rpc/rpc_service.ts";
import type { Registry } from "../registry/registry.ts";
import type { RequestRate } from "./request_rate.ts";
import { callerOf } from "./caller_of.ts";

/** What decoding a request may cost: a record, and as much again said without it. */
const LIMITS = { maxFields: 20_000, maxDepth: 8 };

/** What the service works with. */
export interface RegistryServiceDeps {
  readonly registry: Registry;
  readonly relayId: string;
  readonly rate: RequestRate;
  /** IP address from which a peer is connected; undefined when it is not. */
  hostOf(peerId: string): string | undefined;
  /** Told of each call and how long it took, in seconds. */
  onDiscover(seconds: number): void;
}

/** `RegistryService`, for gRPC and for channels of peers alike. */
export function createRegistryService(deps: RegistryServiceDeps): RpcService {
  const { registry, relayId, rate } = deps;
  const changing = (context: RpcContext) => {
    const caller = callerOf(context, deps.hostOf);
    rate.takeChange(caller);
    return caller;
  };
  return createRpcService(RegistryService, {
    registerSkills: async (request, context) => {
      const caller = changing(context);
      const signed = toSignedRecord(request.signedRecord);
      const { ttlMs, expiresAtMs } = signed !== undefined
        ? await registry.register(signed, caller)
        : await registry.registerUnsigned({
          peerId: request.peerId,
          name: request.agentName,
          description: request.agentDescription,
          skills: request.skills.map(toRegistrySkill),
          addresses: request.addresses,
        }, caller);
      return { expiresAt: timestampFromMs(expiresAtMs), ttlMs, relayId };
    },
    unregisterSkills: async (request, context) => {
      const caller = changing(context);
      const signed = toSignedRecord(request.signedRecord);
      if (signed !== undefined) await registry.withdraw(signed, caller);
      else await registry.remove(request.peerId, request.skillIds, caller);
      return {};
    },
    heartbeat: async (request, context) => {
      const { ttlMs, expiresAtMs } = await registry.heartbeat(request.peerId, changing(context));
      return { expiresAt: timestampFromMs(expiresAtMs), ttlMs };
    },
    discoverBySkill: async (request, context) => {
      rate.takeQuery(callerOf(context, deps.hostOf));
      const startMs = performance.now();
      const { skillId, skillPrefix, text, anySkill } = request;
      if (!anySkill && skillId === "" && skillPrefix === "" && text === "") {
        throw new CodedError("invalid_argument", "skill_id is required");
      }
      const { agents, nextPageToken } = await registry.find(toQuery(request));
      deps.onDiscover((performance.now() - startMs) / 1000);
      return { agents: agents.map(fromRegistration), nextPageToken, relayId };
    },
  }, { limits: LIMITS });
}
