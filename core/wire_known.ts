import { fromBinary, type JsonObject, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { fromJson, toJson } from "@bufbuild/protobuf";
import { StructSchema, type Timestamp, type TimestampSchema } from "@bufbuild/protobuf/wkt";
import type { WireReader } from "./wire_reader.ts";
import type { WireWriter } from "./wire_writer.ts";

/** How messages of one type are written and read; see `gen/codecs.ts`. */
export interface WireCodec {
  write(writer: WireWriter, message: unknown): void;
  /** Reads on to the end of the message. */
  read(reader: WireReader): unknown;
}

/** The fields of a timestamp. */
export function writeTimestamp(writer: WireWriter, time: MessageInitShape<typeof TimestampSchema>): void {
  const { seconds, nanos } = time;
  if (seconds) writer.int64(8, seconds);
  if (nanos) writer.int32(16, nanos);
}

/** Reads a timestamp, into `time` when there is one. */
export function readTimestamp(
  reader: WireReader,
  time: Timestamp = { $typeName: "google.protobuf.Timestamp", seconds: 0n, nanos: 0 },
): Timestamp {
  while (reader.pos < reader.end) {
    const tag = reader.uint32();
    if (tag === 8) time.seconds = reader.int64();
    else if (tag === 16) time.nanos = reader.int32();
    else reader.skip(tag);
  }
  return time;
}

/** A JSON object as a field of the type `google.protobuf.Struct`. */
export function writeStruct(writer: WireWriter, tag: number, value: JsonObject): void {
  writer.bytes(tag, toBinary(StructSchema, fromJson(StructSchema, value)));
}

/** Reads such a field; entries that `before` has and it has not stay. */
export function readStruct(reader: WireReader, before: JsonObject | undefined): JsonObject {
  const value = toJson(StructSchema, fromBinary(StructSchema, reader.bytes())) as JsonObject;
  return before === undefined ? value : { ...before, ...value };
}

/** Sets an entry of a map, whatever its key. */
export function setEntry<V>(map: { [key: string]: V }, key: string, value: V): void {
  if (key !== "__proto__") map[key] = value;
  else Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
}
