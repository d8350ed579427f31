import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DiscoveredAgentSchema } from "../../gen/agentanycast/v1/node_service_pb.ts";
import type { DiscoveredAgent } from "../anycast/model.ts";
import { toTimestamp } from "./time.ts";

/** A discovered agent as the wire has it. */
export function toDiscoveredAgent(agent: DiscoveredAgent): MessageInitShape<typeof DiscoveredAgentSchema> {
  const { peerId, name, description, skills, verified, lastSeenMs, via, addresses } = agent;
  return {
    peerId,
    agentName: name,
    agentDescription: description,
    skills: skills.map(({ id, description, tags }) => ({ skillId: id, description, tags: { ...tags } })),
    verified,
    ...(lastSeenMs > 0 && { lastSeenAt: toTimestamp(lastSeenMs) }),
    via: [...via],
    addresses: [...addresses],
  };
}
