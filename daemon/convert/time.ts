import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";

/** Milliseconds of a wire timestamp; 0 when it is missing. */
export function fromTimestamp(timestamp: Timestamp | undefined): number {
  return timestamp === undefined ? 0 : Math.trunc(timestampMs(timestamp));
}

/** A wire timestamp, left out for 0. */
export function toTimestamp(ms: number): Timestamp | undefined {
  return ms === 0 ? undefined : timestampFromMs(ms);
}
