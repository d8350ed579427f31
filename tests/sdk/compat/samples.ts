import type { CompatCard, CompatTask } from "../../../sdk/compat/mod.ts";

/** A task with everything that a task can have. */
export const TASK: CompatTask = {
  taskId: "task-1",
  contextId: "ctx-1",
  status: "completed",
  messages: [
    {
      role: "user",
      messageId: "m-1",
      createdAt: new Date("2026-01-02T03:04:05.678Z"),
      parts: [
        { text: "look at this", mediaType: "text/markdown", metadata: { lang: "en" } },
        { text: "named", filename: "note.txt" },
        { text: "" },
        { data: { rows: [1, { deep: null }] }, mediaType: "application/json" },
        { data: { raw: "cafe" }, metadata: { looks: "like bytes" } },
        { url: "https://example.com/a.png", filename: "a.png", mediaType: "image/png" },
      ],
    },
    {
      role: "agent",
      messageId: "m-2",
      parts: [{ raw: new Uint8Array([0, 250, 255]), filename: "b.bin", mediaType: "x/y" }],
    },
  ],
  artifacts: [{ artifactId: "a-1", name: "result", parts: [{ text: "done" }, { raw: new Uint8Array([1]) }] }],
  metadata: { priority: "high" },
  targetSkillId: "look",
  peerId: "12D3KooW9pP4Seg3kZYhySpuVjn1RPdQBsUFZKiFxGMGQN5MeL6A",
  direction: "outbound",
  originatorPeerId: "12D3KooW9pNAk8aiBuGVQtWRdbkLmo5qVL3e2h5UxbN2Nz9ttwiw",
  createdAt: new Date("2026-01-02T03:04:05.000Z"),
  updatedAt: new Date("2026-01-02T03:05:00.001Z"),
  deadline: new Date("2026-01-03T00:00:00.000Z"),
  generation: 7,
  cancelRequested: true,
  traceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  traceState: "vendor=1",
};

/** A card with everything that a card can have. */
export const CARD: CompatCard = {
  name: "Planner",
  description: "Plans things",
  version: "2.1.0",
  protocolVersion: "a2a/0.3",
  skills: [
    {
      id: "plan",
      name: "Plan",
      description: "Makes a plan",
      tags: ["planning", "time"],
      examples: ["plan my day"],
      inputModes: ["text/plain"],
      outputModes: ["application/json"],
      inputSchema: '{"type":"object","properties":{"day":{"type":"string"}}}',
      outputSchema: '{"type":"array"}',
    },
    { id: "bare" },
    { id: "schema-only", inputSchema: '{"type":"object"}' },
  ],
  peerId: "12D3KooW9pP4Seg3kZYhySpuVjn1RPdQBsUFZKiFxGMGQN5MeL6A",
  didKey: "did:key:z6MkeTGwHmLmuCmgg4ABYhzWVh6ZX7hTwWt8gguAretUfc9c",
  didWeb: "did:web:example.com",
  didDns: "did:dns:example.com",
  supportedTransports: ["tcp", "quic-v1"],
  relayAddresses: [
    "/dns4/relay.example.com/tcp/4001/p2p/12D3KooW9pNAk8aiBuGVQtWRdbkLmo5qVL3e2h5UxbN2Nz9ttwiw",
  ],
  verifiableCredentials: ['{"type":["VerifiableCredential"]}'],
  signedAt: new Date("2026-02-03T04:05:06.000Z"),
};

/** `value` as it arrives after a way over the network. */
export function sent<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}
