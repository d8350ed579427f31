import { z } from "zod";
import { defineTool, toToolResult } from "../tool.ts";
import { pinnedToolNames } from "../pinned_tools.ts";
import { toPeerId } from "./target.ts";

const peerField = { peer_id: z.string().min(1).max(200).describe("peer id or did:key of the agent") };

/** `pin_agent` */
export const pinAgent = defineTool({
  name: "pin_agent",
  title: "Pin an agent",
  description:
    "Makes each skill of an agent a tool of its own, which stays until unpin_agent. Pin only agents you trust: " +
    "names and descriptions of these tools are written by the agent.",
  input: z.object(peerField),
  output: z.object({ peer_id: z.string(), agent_name: z.string(), tools: z.array(z.string()) }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  run: async ({ peer_id }, { access, pinned, publish }) => {
    const peerId = await toPeerId(peer_id);
    const agent = pinned.pin(peerId, await access.card(peerId));
    publish({ kind: "tools_list_changed" });
    const tools = [...pinnedToolNames(pinned.list())].flatMap(([name, one]) =>
      one.agent.peerId === peerId ? name : []
    );
    return toToolResult(
      { peer_id: peerId, agent_name: agent.name, tools },
      `Pinned ${agent.name}: its skills are the tools ${tools.join(", ") || "(it has none)"}`,
    );
  },
});

/** `unpin_agent` */
export const unpinAgent = defineTool({
  name: "unpin_agent",
  title: "Unpin an agent",
  description: "Removes the tools of a pinned agent.",
  input: z.object(peerField),
  output: z.object({ peer_id: z.string(), was_pinned: z.boolean() }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  run: async ({ peer_id }, { pinned, publish }) => {
    const peerId = await toPeerId(peer_id);
    const wasPinned = pinned.unpin(peerId);
    if (wasPinned) publish({ kind: "tools_list_changed" });
    return toToolResult(
      { peer_id: peerId, was_pinned: wasPinned },
      wasPinned ? "Unpinned" : "It was not pinned",
    );
  },
});
