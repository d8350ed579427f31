import { CodedError } from "../../core/errors.ts";

/** Bytes that streamed artifacts may have on disk. */
export interface SpoolBounds {
  /** Of one artifact. Default 4 GiB. */
  readonly maxArtifactBytes: number;
  /** Of all. Default 20 GiB. */
  readonly maxTotalBytes: number;
}

/** Counts the bytes of all artifacts on disk. */
export class SpoolRoom {
  #usedBytes = 0;

  constructor(readonly bounds: SpoolBounds) {}

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Counts `bytes` of an artifact that has `artifactBytes` already. Throws `resource_exhausted`. */
  take(bytes: number, { artifactBytes }: { artifactBytes: number }): void {
    const { maxArtifactBytes, maxTotalBytes } = this.bounds;
    if (artifactBytes + bytes > maxArtifactBytes) {
      throw full(`it has ${artifactBytes + bytes} bytes, one may have ${maxArtifactBytes}`);
    }
    if (this.#usedBytes + bytes > maxTotalBytes) {
      throw full(
        `artifacts have ${this.#usedBytes} of the ${maxTotalBytes} bytes they may have; they go with their tasks`,
      );
    }
    this.#usedBytes += bytes;
  }

  /** Counts what is there already. */
  add(bytes: number): void {
    this.#usedBytes += bytes;
  }

  release(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}

function full(what: string): CodedError {
  return new CodedError("resource_exhausted", `Cannot keep the artifact: ${what}`);
}
