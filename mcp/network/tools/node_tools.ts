import { z } from "zod";
import type { PeerInfo } from "../../../sdk/mod.ts";
import { safeLine } from "../safe_text.ts";
import { defineTool, toToolResult } from "../tool.ts";
import { toPeerId } from "./target.ts";

const MAX_PEERS = 500;

const peerSchema = z.object({
  peer_id: z.string(),
  did_key: z.string().optional(),
  agent_name: z.string().optional().describe("its own claim; untrusted"),
  addresses: z.array(z.string()),
  connection: z.enum(["unknown", "direct", "relay"]),
});

function toPeerView({ peerId, did, agentName, addresses, connection }: PeerInfo): z.infer<typeof peerSchema> {
  return {
    peer_id: peerId,
    ...(did && { did_key: did }),
    ...(agentName && { agent_name: safeLine(agentName) }),
    addresses: [...addresses],
    connection,
  };
}

/** `get_node_info` */
export const getNodeInfo = defineTool({
  name: "get_node_info",
  title: "This node",
  description:
    "Tells who this node is on the agent network: peer id, did:key, addresses, number of connected peers.",
  input: z.object({}),
  output: z.object({
    peer_id: z.string(),
    did_key: z.string(),
    listen_addresses: z.array(z.string()),
    connected_peers: z.number().int(),
    version: z.string(),
    nat: z.enum(["unknown", "public", "private"]),
  }),
  annotations: { readOnlyHint: true, openWorldHint: false },
  run: async (_input, { access }) => {
    const info = await access.info();
    const structured = {
      peer_id: info.peerId,
      did_key: info.did,
      listen_addresses: [...info.listenAddresses],
      connected_peers: info.connectedPeers,
      version: info.version,
      nat: info.nat,
    };
    const addresses = structured.listen_addresses.join("\n  ") || "none";
    return toToolResult(
      structured,
      `Peer id: ${info.peerId}\nDID: ${info.did}\nConnected peers: ${info.connectedPeers}\n` +
        `Version: ${info.version}\nAddresses:\n  ${addresses}`,
    );
  },
});

/** `list_connected_peers` */
export const listConnectedPeers = defineTool({
  name: "list_connected_peers",
  title: "Connected peers",
  description: "Lists the peers this node is connected to. Names are the peers' own claims.",
  input: z.object({}),
  output: z.object({ count: z.number().int(), peers: z.array(peerSchema) }),
  annotations: { readOnlyHint: true, openWorldHint: false },
  run: async (_input, { access }) => {
    const all = await access.peers();
    const peers = all.slice(0, MAX_PEERS).map(toPeerView);
    const lines = peers.map(({ peer_id, agent_name, connection }) =>
      `- ${peer_id}${agent_name === undefined ? "" : ` "${agent_name}"`} (${connection})`
    );
    return toToolResult({ count: all.length, peers }, [`${all.length} connected peers`, ...lines].join("\n"));
  },
});

/** `connect_peer` */
export const connectPeer = defineTool({
  name: "connect_peer",
  title: "Connect to a peer",
  description:
    "Connects to a peer, by its peer id or did:key when it is known here, or by an address that ends in " +
    "/p2p/<peer id>.",
  input: z.object({
    target: z.string().min(1).max(2_000).describe(
      "peer id, did:key, or multiaddr that ends in /p2p/<peer id>",
    ),
  }),
  output: peerSchema,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  run: async ({ target }, { access }) => {
    const peer = toPeerView(await access.connect(target.startsWith("/") ? target : await toPeerId(target)));
    return toToolResult(peer, `Connected to ${peer.peer_id} (${peer.connection})`);
  },
});
