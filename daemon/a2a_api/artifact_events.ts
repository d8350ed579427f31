import { Buffer } from "node:buffer";
import { isTextType, type StreamChunk, type StreamEvent, type StreamStart } from "../../a2a/mod.ts";
import type { JsonObject } from "../../core/json.ts";

/** An artifact of which pieces come. */
interface Coming {
  readonly start: StreamStart;
  /** Puts together what a chunk has cut; undefined for what is no text. */
  readonly decoder: TextDecoder | undefined;
  bytes: number;
  /** Whether a piece was told. */
  isBegun: boolean;
  /** The last chunk, which is told with the end. */
  held: Uint8Array | undefined;
}

/**
 * The events of streamed artifacts as `artifactUpdate` of A2A 1.0: text of text types, raw of others. The first piece of an artifact
 * has `append: false`, also when it starts anew; the one with `lastChunk` is told once all of it has arrived unharmed.
 */
export class ArtifactEvents {
  readonly #coming = new Map<string, Coming>();
  readonly #whole = new Set<string>();

  constructor(readonly contextId: string) {}

  /** The artifacts that were told to their end. */
  get whole(): ReadonlySet<string> {
    return this.#whole;
  }

  /** What to tell; undefined for nothing. */
  toResponse(event: StreamEvent): JsonObject | undefined {
    const { artifactId } = event;
    if (event.kind === "start") {
      const decoder = isTextType(event.mediaType) ? new TextDecoder("utf-8", { ignoreBOM: true }) : undefined;
      this.#coming.set(artifactId, { start: event, decoder, bytes: 0, isBegun: false, held: undefined });
      this.#whole.delete(artifactId);
      return undefined;
    }
    const coming = this.#coming.get(artifactId);
    if (coming === undefined) return undefined;
    if (event.kind === "chunk") return this.#onChunk(coming, event);
    this.#coming.delete(artifactId);
    if (event.reason !== "complete") return undefined;
    this.#whole.add(artifactId);
    return this.#toUpdate(coming, { data: coming.held ?? new Uint8Array(), isLast: true });
  }

  #onChunk(coming: Coming, { data, isLast }: StreamChunk): JsonObject | undefined {
    coming.bytes += data.length;
    if (!isLast && coming.bytes !== coming.start.totalBytes) {
      return this.#toUpdate(coming, { data, isLast: false });
    }
    const before = coming.held;
    coming.held = data;
    return before === undefined ? undefined : this.#toUpdate(coming, { data: before, isLast: false });
  }

  #toUpdate(
    coming: Coming,
    { data, isLast }: { data: Uint8Array; isLast: boolean },
  ): JsonObject | undefined {
    const { start, decoder, isBegun } = coming;
    const { taskId, artifactId, artifactName: name, mediaType, metadata } = start;
    const content = decoder === undefined
      ? { raw: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64") }
      : { text: decoder.decode(data, { stream: !isLast }) };
    // Nothing yet but the first bytes of a character.
    if (content.text === "" && !isLast) return undefined;
    coming.isBegun = true;
    const part = {
      ...content,
      ...(Object.keys(metadata).length > 0 && { metadata: { ...metadata } }),
      ...(name !== "" && { filename: name }),
      ...(mediaType !== "" && { mediaType }),
    };
    const artifact = { artifactId, ...(name !== "" && { name }), parts: [part] };
    const { contextId } = this;
    return { artifactUpdate: { taskId, contextId, artifact, append: isBegun, lastChunk: isLast } };
  }
}
