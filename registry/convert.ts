import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { SignedRegistryRecord as WireRecord } from "../gen/agentanycast/v1/registry_record_pb.ts";
import type {
  DiscoverBySkillRequest,
  DiscoverBySkillRequestSchema,
  SkillInfo,
  SkillRegistration,
  SkillRegistrationSchema,
} from "../gen/agentanycast/v1/registry_service_pb.ts";
import type { RegistrySkill, SignedRegistryRecord } from "../identity/mod.ts";
import type { Registration, RegistryQuery } from "./model.ts";

/** Milliseconds of a time on the wire; 0 when there is none. */
export function toMs(time: Timestamp | undefined): number {
  return time === undefined ? 0 : timestampMs(time);
}

/** The parts of a signed record, which may be none; undefined when there is no record. */
export function toSignedRecord(record: WireRecord | undefined): SignedRegistryRecord | undefined {
  return record && { payload: record.payload, signature: record.signature };
}

/** A skill of the model. */
export function toRegistrySkill({ skillId, description, tags }: SkillInfo): RegistrySkill {
  return { id: skillId, description, tags };
}

/** A skill on the wire. */
export function fromRegistrySkill({ id, description, tags }: RegistrySkill) {
  return { skillId: id, description, tags: { ...tags } };
}

/** What a registry says about an agent; nothing of it has been checked. */
export function toRegistration(from: SkillRegistration): Registration {
  const registeredAtMs = toMs(from.registeredAt);
  return {
    peerId: from.peerId,
    name: from.agentName,
    description: from.agentDescription,
    skills: from.skills.map(toRegistrySkill),
    addresses: from.addresses,
    signed: toSignedRecord(from.signedRecord),
    verified: from.verified,
    registeredAtMs,
    expiresAtMs: toMs(from.expiresAt),
    lastSeenMs: toMs(from.lastSeenAt) || registeredAtMs, // existing relays say only when it registered
    viaRelayId: from.viaRelayId,
  };
}

/** An agent on the wire. */
export function fromRegistration(from: Registration): MessageInitShape<typeof SkillRegistrationSchema> {
  return {
    peerId: from.peerId,
    agentName: from.name,
    agentDescription: from.description,
    skills: from.skills.map(fromRegistrySkill),
    addresses: [...from.addresses],
    ...(from.signed !== undefined && { signedRecord: { ...from.signed } }),
    verified: from.verified,
    registeredAt: timestampFromMs(from.registeredAtMs),
    expiresAt: timestampFromMs(from.expiresAtMs),
    lastSeenAt: timestampFromMs(from.lastSeenMs),
    viaRelayId: from.viaRelayId,
  };
}

/** A query on the wire. */
export function fromQuery(query: RegistryQuery): MessageInitShape<typeof DiscoverBySkillRequestSchema> {
  const { skill = "", prefix = "", text = "", tags = {}, pageToken = "" } = query;
  return {
    skillId: skill,
    skillPrefix: prefix,
    text,
    tags: { ...tags },
    anySkill: skill === "" && prefix === "" && text === "",
    verifiedOnly: query.verifiedOnly ?? false,
    federated: query.federated ?? true,
    limit: query.limit ?? 0,
    pageToken,
  };
}

/** The query that a request means. */
export function toQuery(request: DiscoverBySkillRequest): RegistryQuery {
  return {
    skill: request.skillId || undefined,
    prefix: request.skillPrefix || undefined,
    text: request.text || undefined,
    tags: request.tags,
    verifiedOnly: request.verifiedOnly,
    federated: request.federated,
    limit: request.limit,
    pageToken: request.pageToken || undefined,
  };
}
