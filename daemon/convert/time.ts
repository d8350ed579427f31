import type { Timestamp } from "@bufbuild/protobuf/wkt";

/** Milliseconds of a wire timestamp; 0 when it is missing. */
export function fromTimestamp(timestamp: Timestamp | undefined): number {
  return timestamp === undefined
    ? 0
    : Number(timestamp.seconds) * 1000 + Math.round(timestamp.nanos / 1_000_000);
}

/** A wire timestamp, left out for 0. */
export function toTimestamp(ms: number): Timestamp | undefined {
  if (ms === 0) return undefined;
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.floor((ms - seconds * 1000) * 1_000_000);
  return { $typeName: "google.protobuf.Timestamp", seconds: BigInt(seconds), nanos };
}
