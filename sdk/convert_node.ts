import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AgentCard as WireCard, AgentCardSchema } from "../gen/agentanycast/v1/agent_card_pb.ts";
import {
  ConnectionType,
  NATType,
  type NodeInfo as WireNodeInfo,
  type PeerInfo as WirePeerInfo,
} from "../gen/agentanycast/v1/common_pb.ts";
import type {
  CardCheck as WireCheck,
  DiscoveredAgent as WireAgent,
} from "../gen/agentanycast/v1/node_service_pb.ts";
import { isPeerId, toDidKey } from "../identity/mod.ts";
import { dateOf, optional } from "./convert.ts";
import type { AgentCard, CardCheck, DiscoveredAgent, NodeInfo, PeerInfo, Skill } from "./model.ts";

type CardInit = MessageInitShape<typeof AgentCardSchema>;

export function toWireCard(card: AgentCard): CardInit {
  return {
    name: card.name,
    description: card.description ?? "",
    version: card.version ?? "1.0.0",
    protocolVersion: card.protocolVersion ?? "a2a/0.3",
    skills: card.skills.map((skill) => ({
      id: skill.id,
      name: skill.name ?? "",
      description: skill.description ?? "",
      tags: [...skill.tags ?? []],
      inputSchema: skill.inputSchema ?? "",
      outputSchema: skill.outputSchema ?? "",
      inputModes: [...skill.inputModes ?? []],
      outputModes: [...skill.outputModes ?? []],
      examples: [...skill.examples ?? []],
    })),
    p2pExtension: {
      peerId: card.peerId ?? "",
      didKey: card.didKey ?? "",
      didWeb: card.didWeb ?? "",
      didDns: card.didDns ?? "",
      supportedTransports: [...card.supportedTransports ?? []],
      relayAddresses: [...card.relayAddresses ?? []],
      verifiableCredentials: [...card.verifiableCredentials ?? []],
    },
  };
}

export function fromWireCard(card: WireCard): AgentCard {
  const extension = card.p2pExtension;
  return {
    name: card.name,
    skills: card.skills.map((skill): Skill => ({
      id: skill.id,
      ...optional("name", skill.name),
      ...optional("description", skill.description),
      ...list("tags", skill.tags),
      ...optional("inputSchema", skill.inputSchema),
      ...optional("outputSchema", skill.outputSchema),
      ...list("inputModes", skill.inputModes),
      ...list("outputModes", skill.outputModes),
      ...list("examples", skill.examples),
    })),
    ...optional("description", card.description),
    ...optional("version", card.version),
    ...optional("protocolVersion", card.protocolVersion),
    ...optional("peerId", extension?.peerId),
    ...optional("didKey", extension?.didKey),
    ...optional("didWeb", extension?.didWeb),
    ...optional("didDns", extension?.didDns),
    ...list("supportedTransports", extension?.supportedTransports),
    ...list("relayAddresses", extension?.relayAddresses),
    ...list("verifiableCredentials", extension?.verifiableCredentials),
    ...optional("signedAt", dateOf(extension?.signedAt)),
  };
}

export function fromWireCheck(check: WireCheck): CardCheck {
  return {
    signed: check.signed,
    dids: check.dids.map(({ did, verdict, reason }) => ({ did, verdict, ...optional("reason", reason) })),
    credentials: check.credentials.map((one) => ({
      verdict: one.verdict,
      ...optional("reason", one.reason),
      ...optional("id", one.id),
      ...optional("issuer", one.issuer),
      ...list("types", one.types),
      ...list("capabilities", one.capabilities),
      ...optional("validUntil", dateOf(one.validUntil)),
      ...optional("legacy", one.legacy || undefined),
    })),
  };
}

const NAT = {
  [NATType.NAT_TYPE_UNSPECIFIED]: "unknown",
  [NATType.NAT_TYPE_PUBLIC]: "public",
  [NATType.NAT_TYPE_PRIVATE]: "private",
} as const;

export function fromWireNodeInfo(info: WireNodeInfo, card: WireCard | undefined): NodeInfo {
  return {
    peerId: info.peerId,
    did: info.didKey || didOf(info.peerId),
    listenAddresses: [...info.listenAddresses],
    connectedPeers: info.connectedPeers,
    version: info.version,
    nat: NAT[info.natType] ?? "unknown",
    ...optional("natMapping", info.natMapping),
    observedAddresses: [...info.observedAddresses],
    ...(info.portMapping === undefined ? {} : {
      portMapping: {
        state: info.portMapping.state,
        ...optional("gateway", info.portMapping.gateway),
        ...optional("reason", info.portMapping.reason),
        addresses: [...info.portMapping.addresses],
      },
    }),
    relays: info.relays.map((relay) => ({
      peerId: relay.peerId,
      state: relay.state,
      reason: relay.reason,
      addresses: [...relay.addresses],
      ...optional("roundTripMs", relay.roundTripMs || undefined),
      ...optional("address", relay.address),
    })),
    ...optional("startedAt", dateOf(info.startedAt)),
    ...optional("home", info.home),
    ...(info.pid === 0 ? {} : { pid: info.pid }),
    ...(card === undefined ? {} : { card: fromWireCard(card) }),
  };
}

const CONNECTION = {
  [ConnectionType.UNSPECIFIED]: "unknown",
  [ConnectionType.DIRECT]: "direct",
  [ConnectionType.RELAY]: "relay",
} as const;

export function fromWirePeer(peer: WirePeerInfo): PeerInfo {
  return {
    peerId: peer.peerId,
    addresses: [...peer.addresses],
    connection: CONNECTION[peer.connectionType] ?? "unknown",
    ...optional("relayId", peer.relayId),
    ...optional("roundTripMs", peer.roundTripMs || undefined),
    ...(peer.transport === "" ? {} : {
      transport: peer.transport,
      sentBytes: Number(peer.sentBytes),
      receivedBytes: Number(peer.receivedBytes),
    }),
    ...optional("directTries", peer.directTries || undefined),
    ...optional("directObstacle", peer.directObstacle),
    ...optional("connectedAt", dateOf(peer.connectedAt)),
    ...optional("direction", peer.direction),
    ...optional("foundBy", peer.foundBy),
    ...optional("agentName", peer.agentName),
    ...optional("did", peer.didKey || didOf(peer.peerId)),
  };
}

export function fromWireAgent(agent: WireAgent): DiscoveredAgent {
  return {
    peerId: agent.peerId,
    agentName: agent.agentName,
    agentDescription: agent.agentDescription,
    skills: agent.skills.map(({ skillId, description, tags }) => ({
      skillId,
      description,
      tags: { ...tags },
    })),
    verified: agent.verified,
    ...optional("lastSeen", dateOf(agent.lastSeenAt)),
    via: [...agent.via],
    addresses: [...agent.addresses],
  };
}

/** Other daemons do not tell the DID; it follows from an Ed25519 peer id. */
function didOf(peerId: string): string {
  return isPeerId(peerId) ? toDidKey(peerId) : "";
}

function list<K extends string>(key: K, items: readonly string[] = []): { [P in K]?: readonly string[] } {
  return optional(key, items.length === 0 ? undefined : [...items]);
}
