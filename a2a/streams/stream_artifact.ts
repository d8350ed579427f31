import { Buffer } from "node:buffer";
import { pathToFileURL } from "node:url";
import type { Artifact, Part } from "../model.ts";
import type { SentArtifact } from "./artifact_sender.ts";
import type { ReceivedArtifact } from "./received_artifact.ts";
import type { StreamStart } from "./stream_event.ts";

/** Metadata key of a part whose bytes came, or come, on a stream. */
export const STREAM_KEY = "agentanycast.stream";

/** What stands for a streamed artifact in the end of its task. */
export function toReference({ start, sha256, bytes }: Extract<SentArtifact, { kind: "streamed" }>): Artifact {
  return toArtifact(start, {
    content: { kind: "none" },
    mediaType: start.mediaType,
    metadata: {
      ...start.metadata,
      [STREAM_KEY]: "1",
      sha256: Buffer.from(sha256).toString("hex"),
      bytes: String(bytes),
    },
  });
}

/** What has arrived whole, with its bytes: text of a text type that is UTF-8, raw of others. */
export async function collectArtifacts(received: readonly ReceivedArtifact[]): Promise<readonly Artifact[]> {
  const whole = received.filter(({ end }) => end?.reason === "complete");
  return await Promise.all(whole.map(async (one) => {
    const { start } = one;
    const collected = toCollected({ kind: "collected", start, data: await readWhole(one) });
    return isTextType(start.mediaType) ? { ...collected, parts: collected.parts.map(toTextPart) } : collected;
  }));
}

/** Whether a media type is of text in UTF-8. */
export function isTextType(mediaType: string): boolean {
  const [type = "", ...parameters] = mediaType.toLowerCase().split(";").map((one) => one.trim());
  const charset = parameters.find((one) => one.startsWith("charset="))?.slice("charset=".length);
  return type.startsWith("text/") && (charset === undefined || /^"?(utf-8|us-ascii)"?$/.test(charset));
}

/** A part with raw bytes as text, when they are UTF-8. */
export function toTextPart(part: Part): Part {
  const { content } = part;
  if (content.kind !== "raw") return part;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content.data);
    return { ...part, content: { kind: "text", text }, filename: content.filename };
  } catch {
    return part; // Its type is wrong: the bytes are kept as they are.
  }
}

/** An artifact that could not be streamed, with its bytes. */
export function toCollected({ start, data }: Extract<SentArtifact, { kind: "collected" }>): Artifact {
  return toArtifact(start, {
    content: { kind: "raw", data, filename: start.artifactName },
    mediaType: start.mediaType,
    metadata: start.metadata,
  });
}

/**
 * `artifacts` with what was streamed in the place of what stands for it: as bytes up to `maxInlineBytes`, else as the URL of its
 * file. What has not arrived whole stays as it is, with the metadata `incomplete`. Whole ones that nothing stands for follow.
 */
export async function resolveArtifacts(
  artifacts: readonly Artifact[],
  { received, maxInlineBytes }: { received: readonly ReceivedArtifact[]; maxInlineBytes: number },
): Promise<readonly Artifact[]> {
  const whole = new Map(
    received.filter(({ end }) => end?.reason === "complete").map((one) => [one.start.artifactId, one]),
  );
  const resolved: Artifact[] = [];
  for (const artifact of artifacts) {
    const stream = whole.get(artifact.artifactId);
    whole.delete(artifact.artifactId);
    const parts = artifact.parts.map((part) =>
      resolvePart(part, { stream, name: artifact.name, maxInlineBytes })
    );
    resolved.push({ ...artifact, parts: await Promise.all(parts) });
  }
  for (const stream of whole.values()) {
    const { start, file: { sha256, bytes } } = stream;
    if (sha256 === undefined) continue;
    const reference = toReference({ kind: "streamed", start, sha256, bytes });
    const parts = reference.parts.map((part) =>
      resolvePart(part, { stream, name: reference.name, maxInlineBytes })
    );
    resolved.push({ ...reference, parts: await Promise.all(parts) });
  }
  return resolved;
}

async function resolvePart(
  part: Part,
  { stream, name, maxInlineBytes }: {
    stream: ReceivedArtifact | undefined;
    name: string;
    maxInlineBytes: number;
  },
): Promise<Part> {
  if (part.content.kind !== "none" || part.metadata[STREAM_KEY] !== "1") return part;
  const sha256 = stream?.file.sha256;
  if (
    stream === undefined || sha256 === undefined ||
    Buffer.from(sha256).toString("hex") !== part.metadata.sha256
  ) {
    return { ...part, metadata: { ...part.metadata, incomplete: "true" } };
  }
  if (stream.file.bytes > maxInlineBytes) {
    return { ...part, content: { kind: "url", url: pathToFileURL(stream.file.path).href, filename: name } };
  }
  return { ...part, content: { kind: "raw", data: await readWhole(stream), filename: name } };
}

async function readWhole({ file }: ReceivedArtifact): Promise<Uint8Array> {
  const whole = new Uint8Array(file.bytes);
  const reader = await file.read();
  try {
    let offset = 0;
    for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) {
      whole.set(chunk.data, offset);
      offset += chunk.data.length;
    }
    return whole;
  } finally {
    reader.close();
  }
}

function toArtifact({ artifactId, artifactName }: StreamStart, part: Part): Artifact {
  return { artifactId, name: artifactName, parts: [part] };
}
