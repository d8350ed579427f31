import { openRegistryRecord, type RegistryRecord } from "../../identity/mod.ts";
import type { DhtOptions } from "../../p2p/mod.ts";
import { decodeSignedRecord } from "../convert/registry_record.ts";

/** First part of the keys of records. */
const NAMESPACE = "agentanycast";

/** Name under which agents with a skill are found in the DHT, as in the existing network. */
export function skillName(skillId: string): string {
  return `agentanycast/skill/${skillId}`;
}

/** Key of what an agent says about itself in the DHT. */
export function agentKey(peerId: string): string {
  return `/${NAMESPACE}/agent/${peerId}`;
}

/** The record of a peer, checked. Throws as `openRegistryRecord`, and `SyntaxError` for another key or peer. */
export function openDhtRecord(key: string, value: Uint8Array, nowMs: number): RegistryRecord {
  const record = openRegistryRecord(decodeSignedRecord(value), { nowMs });
  if (key !== agentKey(record.peerId)) throw new SyntaxError(`It is the record of ${record.peerId}`);
  return record;
}

/** Records of the DHT are what registries have: signed by their peer, of one peer the latest. */
export const DHT_RECORDS: Pick<DhtOptions, "namespace" | "validate" | "select"> = {
  namespace: NAMESPACE,
  validate: (key, value) => void openDhtRecord(key, value, Date.now()),
  select(key, values) {
    const sequences = values.map((value) => {
      try {
        return openDhtRecord(key, value, Date.now()).sequence;
      } catch {
        return -1; // it has expired since it was checked
      }
    });
    return sequences.indexOf(Math.max(...sequences));
  },
};
