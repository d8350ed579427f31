/** Why a stream of an artifact ended. */
export type StreamEndReason = "complete" | "canceled" | "error";

/** Opens an artifact that comes piece by piece. */
export interface StreamStart {
  readonly kind: "start";
  readonly taskId: string;
  readonly artifactId: string;
  readonly artifactName: string;
  readonly mediaType: string;
  /** 0 when it is not known. */
  readonly totalChunks: number;
  /** 0 when it is not known. */
  readonly totalBytes: number;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The next piece: `sequence` counts from 0 without gaps. */
export interface StreamChunk {
  readonly kind: "chunk";
  readonly taskId: string;
  readonly artifactId: string;
  readonly sequence: number;
  readonly data: Uint8Array;
  readonly isLast: boolean;
}

/** Ends an artifact; what arrived is all there is when `reason` is `complete`. */
export interface StreamEnd {
  readonly kind: "end";
  readonly taskId: string;
  readonly artifactId: string;
  readonly reason: StreamEndReason;
  /** SHA-256 of all bytes; empty when it is not known. */
  readonly sha256: Uint8Array;
  /** 0 when it is not known. */
  readonly totalBytes: number;
  /** Empty on a complete stream. */
  readonly errorMessage: string;
}

/** What a stream of artifacts consists of. */
export type StreamEvent = StreamStart | StreamChunk | StreamEnd;
