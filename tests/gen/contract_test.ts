import assert from "node:assert/strict";
import { join } from "node:path";
import {
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
  ScalarType,
} from "@bufbuild/protobuf";
import { file_agentanycast_v1_a2a_models } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { file_agentanycast_v1_agent_card } from "../../gen/agentanycast/v1/agent_card_pb.ts";
import { file_agentanycast_v1_common } from "../../gen/agentanycast/v1/common_pb.ts";
import { file_agentanycast_v1_federation } from "../../gen/agentanycast/v1/federation_pb.ts";
import { file_agentanycast_v1_node_service } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { file_agentanycast_v1_registry_service } from "../../gen/agentanycast/v1/registry_service_pb.ts";
import { file_agentanycast_v1_streaming } from "../../gen/agentanycast/v1/streaming_pb.ts";

const FILES: DescFile[] = [
  file_agentanycast_v1_a2a_models,
  file_agentanycast_v1_agent_card,
  file_agentanycast_v1_common,
  file_agentanycast_v1_federation,
  file_agentanycast_v1_node_service,
  file_agentanycast_v1_registry_service,
  file_agentanycast_v1_streaming,
];
/** Our own additions have numbers from here up. */
const FIRST_OWN_NUMBER = 100;

function typeName(
  type: { scalar?: ScalarType | undefined; message?: DescMessage | undefined; enum?: DescEnum | undefined },
): string {
  if (type.scalar !== undefined) return ScalarType[type.scalar].toLowerCase();
  return (type.message ?? type.enum)!.name;
}

function fieldType(field: DescField): string {
  if (field.fieldKind === "map") return `map<${typeName({ scalar: field.mapKey })}, ${typeName(field)}>`;
  const oneof = field.oneof === undefined ? "" : ` oneof ${field.oneof.name}`;
  return `${field.fieldKind === "list" ? "repeated " : ""}${typeName(field)}${oneof}`;
}

function* describeFile(file: DescFile): Generator<string> {
  assert.equal(file.proto.package, "agentanycast.v1");
  assert.equal(file.proto.syntax, "proto3");
  for (const message of file.messages) {
    yield `message ${message.name} in ${file.name.split("/").at(-1)}.proto`;
    for (const field of message.fields) {
      if (field.number >= FIRST_OWN_NUMBER) continue;
      yield `field ${message.name}.${field.name} = ${field.number} ${fieldType(field)}`;
    }
  }
  for (const type of file.enums) {
    for (const value of type.values) {
      if (value.number < FIRST_OWN_NUMBER) yield `enum ${type.name}.${value.name} = ${value.number}`;
    }
  }
  for (const service of file.services) {
    for (const { name, methodKind, input, output } of service.methods) {
      const [up, down] = [methodKind === "client_streaming", methodKind === "server_streaming"];
      yield `rpc ${service.name}.${name} ${up ? "stream " : ""}${input.name} -> ${
        down ? "stream " : ""
      }${output.name}`;
    }
  }
}

/** The message, enum or service that a line is about. */
function ownerOf(line: string): string {
  return /^\w+ (\w+)/.exec(line)?.[1] ?? "";
}

Deno.test("the contract below our own numbers is exactly the one of the network", async () => {
  const path = join(import.meta.dirname!, "../testdata/contract.txt");
  const contract = (await Deno.readTextFile(path)).trimEnd().split("\n");
  const known = new Set(contract.map(ownerOf));
  // Messages and enums of our own are met only in fields of our own, which others ignore.
  const described = FILES.flatMap((file) => [...describeFile(file)]).filter((line) =>
    known.has(ownerOf(line))
  );
  assert.deepEqual(described.sort(), contract.sort());
});
