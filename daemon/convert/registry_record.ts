import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { SignedRegistryRecordSchema } from "../../gen/agentanycast/v1/registry_record_pb.ts";
import type { SignedRegistryRecord } from "../../identity/mod.ts";

/** A signed record as it lies in the DHT. */
export function encodeSignedRecord({ payload, signature }: SignedRegistryRecord): Uint8Array {
  return toBinary(SignedRegistryRecordSchema, create(SignedRegistryRecordSchema, { payload, signature }));
}

/** A signed record from its bytes, unchecked. Throws for bytes that are none. */
export function decodeSignedRecord(bytes: Uint8Array): SignedRegistryRecord {
  const { payload, signature } = fromBinary(SignedRegistryRecordSchema, bytes);
  return { payload, signature };
}
