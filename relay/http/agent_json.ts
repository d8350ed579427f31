import type { Entry } from "../registry/entry.ts";

/** An agent as the REST API tells it: what that of the existing network has, and what is behind it. */
export function toAgentJson(entry: Entry) {
  return {
    peer_id: entry.peerId,
    name: entry.name,
    description: entry.description,
    skills: entry.skills.map(({ id, description, tags }) => ({
      id,
      description,
      ...(Object.keys(tags).length > 0 && { tags }),
    })),
    ...(entry.path.length > 0 && { origin: entry.viaRelayId }),
    via_relay_id: entry.viaRelayId,
    verified: entry.verified,
    addresses: entry.addresses,
    registered_at: toTime(entry.registeredAtMs),
    last_seen_at: toTime(entry.lastSeenMs),
    expires_at: toTime(entry.expiresAtMs),
  };
}

/** UTC with seconds, as the existing network writes it. */
function toTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}
