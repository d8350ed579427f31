import type { AgentCard, Artifact, Message, Part, Task } from "../../a2a/mod.ts";
import type { NetworkAccess, OutgoingTask } from "../../mcp/mod.ts";

type SdkTask = Awaited<ReturnType<NetworkAccess["task"]>>;
type SdkCard = Awaited<ReturnType<NetworkAccess["card"]>>;
type SdkMessage = OutgoingTask["message"];
type SdkPart = SdkMessage["parts"][number];
type SdkData = NonNullable<SdkPart["data"]>;

/** A task in the words of the SDK. */
export function toSdkTask(task: Task): SdkTask {
  return {
    taskId: task.taskId,
    contextId: task.contextId,
    status: task.status,
    messages: task.messages.map(toSdkMessage),
    artifacts: task.artifacts.map(toSdkArtifact),
    metadata: task.metadata,
    direction: task.direction,
    peerId: task.peerId,
    generation: task.generation,
    ...(task.errorMessage && { error: task.errorMessage }),
    ...(task.targetSkillId && { targetSkillId: task.targetSkillId }),
    ...(task.cancelRequested && { cancelRequested: true }),
    ...(task.createdAtMs > 0 && { createdAt: new Date(task.createdAtMs) }),
    ...(task.updatedAtMs > 0 && { updatedAt: new Date(task.updatedAtMs) }),
  };
}

/** A card in the words of the SDK. */
export function toSdkCard(card: AgentCard): SdkCard {
  return { ...card, skills: card.skills.map((skill) => ({ ...skill })) };
}

/** A message in the words of the engine. */
export function fromSdkMessage({ role, parts, messageId }: SdkMessage): Message {
  return {
    messageId: messageId ?? crypto.randomUUID(),
    role,
    parts: parts.map(fromSdkPart),
    createdAtMs: Date.now(),
  };
}

function fromSdkPart({ text, data, url, raw, filename = "", mediaType = "", metadata = {} }: SdkPart): Part {
  const facts = { mediaType, metadata };
  if (data !== undefined) return { ...facts, content: { kind: "data", data } };
  if (url !== undefined) return { ...facts, content: { kind: "url", url, filename } };
  if (raw !== undefined) return { ...facts, content: { kind: "raw", data: raw, filename } };
  return { ...facts, content: { kind: "text", text: text ?? "" } };
}

function toSdkMessage({ role, parts, messageId }: Message): SdkMessage {
  return { role, parts: parts.map(toSdkPart), messageId };
}

function toSdkArtifact({ artifactId, name, parts }: Artifact) {
  return { artifactId, name, parts: parts.map(toSdkPart) };
}

function toSdkPart({ content, mediaType, filename }: Part): SdkPart {
  const facts = { ...(mediaType && { mediaType }), ...(filename && { filename }) };
  switch (content.kind) {
    case "text":
      return { ...facts, text: content.text };
    case "data":
      return { ...facts, data: content.data as SdkData };
    case "url":
      return { ...facts, url: content.url, ...(content.filename && { filename: content.filename }) };
    case "raw":
      return { ...facts, raw: content.data, ...(content.filename && { filename: content.filename }) };
    case "none":
      return facts;
    default:
      return content satisfies never;
  }
}
