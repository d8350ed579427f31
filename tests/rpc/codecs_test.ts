import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  create,
  createRegistry,
  type DescField,
  type DescFile,
  type DescMessage,
  equals,
  fromBinary,
  type Message,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { CODECS } from "../../gen/codecs.ts";
import { file_agentanycast_lane_v1_artifact_stream } from "../../gen/agentanycast/lane/v1/artifact_stream_pb.ts";
import { file_agentanycast_lane_v1_lane } from "../../gen/agentanycast/lane/v1/lane_pb.ts";
import { file_agentanycast_store_v1_records } from "../../gen/agentanycast/store/v1/records_pb.ts";
import { file_agentanycast_v1_admin_service } from "../../gen/agentanycast/v1/admin_service_pb.ts";
import * as pb from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { file_agentanycast_v1_call_service } from "../../gen/agentanycast/v1/call_service_pb.ts";
import { file_agentanycast_v1_federation } from "../../gen/agentanycast/v1/federation_pb.ts";
import { file_agentanycast_v1_node_service } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { StreamChunkSchema } from "../../gen/agentanycast/v1/streaming_pb.ts";
import { decodeMessage, encodeMessage } from "../../rpc/codecs.ts";

const REGISTRY = createRegistry(...withDependencies([
  file_agentanycast_lane_v1_artifact_stream,
  file_agentanycast_lane_v1_lane,
  file_agentanycast_store_v1_records,
  file_agentanycast_v1_admin_service,
  file_agentanycast_v1_call_service,
  file_agentanycast_v1_federation,
  file_agentanycast_v1_node_service,
]));
const TEXTS = [
  "",
  "a",
  "plain text",
  "ä",
  "𝄞 and more",
  "\0",
  "x".repeat(63) + "é",
  "y".repeat(70),
  "z".repeat(300),
];
const INTEGERS = [0, 1, 127, 128, 300, 65_535, 2 ** 31 - 1];
const LONGS = [0n, 1n, 127n, 128n, 2n ** 31n, 2n ** 42n, 2n ** 53n + 1n, 2n ** 63n - 1n];
const DOUBLES = [0, 1.5, -0, NaN, Infinity, -2e300];
const ROUNDS = 25;

function withDependencies(files: readonly DescFile[]): DescFile[] {
  return files.flatMap((file) => [file, ...withDependencies(file.dependencies)]);
}

/** Numbers that look random and are the same in each run. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
}

type Random = ReturnType<typeof generator>;

function pick<T>(random: Random, values: readonly T[]): T {
  return values[random(values.length)] as T;
}

function scalarValue(random: Random, type: ScalarType): unknown {
  switch (type) {
    case ScalarType.STRING:
      return pick(random, TEXTS);
    case ScalarType.BYTES:
      return new Uint8Array(pick(random, [0, 1, 127, 128, 20_000])).fill(random(256));
    case ScalarType.BOOL:
      return random(2) === 1;
    case ScalarType.DOUBLE:
      return pick(random, DOUBLES);
    case ScalarType.INT64:
      return pick(random, [...LONGS, -1n, -(2n ** 63n)]);
    case ScalarType.UINT64:
      return pick(random, [...LONGS, 2n ** 64n - 1n]);
    case ScalarType.UINT32:
      return pick(random, [...INTEGERS, 2 ** 32 - 1]);
    default:
      return pick(random, [...INTEGERS, -1, -(2 ** 31)]);
  }
}

function oneValue(random: Random, field: DescField, depth: number): unknown {
  if (field.message?.typeName === "google.protobuf.Struct") {
    return pick(random, [{}, { a: 1, b: [true, null, "ö", { c: -2.5 }] }]);
  }
  if (field.message !== undefined) return randomMessage(random, field.message, depth - 1);
  return scalarValue(random, field.scalar ?? ScalarType.INT32);
}

/** A message with each of its fields set or not. */
function randomMessage(random: Random, schema: DescMessage, depth: number): Message {
  const init: Record<string, unknown> = {};
  for (const field of schema.fields) {
    if (random(3) === 0 || (field.message !== undefined && depth === 0)) continue;
    const values = () => Array.from({ length: random(4) }, () => oneValue(random, field, depth));
    if (field.fieldKind === "list") init[field.localName] = values();
    else if (field.fieldKind === "map") {
      init[field.localName] = Object.fromEntries(
        values().map((value, i) => [pick(random, TEXTS) + i, value]),
      );
    } else if (field.oneof === undefined) init[field.localName] = oneValue(random, field, depth);
    else init[field.oneof.localName] = { case: field.localName, value: oneValue(random, field, depth) };
  }
  return create(schema, init);
}

Deno.test("encodeMessage() and decodeMessage() do what the library does, for messages of every type", () => {
  let count = 0;
  for (const [typeName] of CODECS) {
    const schema = REGISTRY.getMessage(typeName);
    assert.ok(schema, `${typeName} is in none of the files`);
    const random = generator(7 + count++);
    for (let round = 0; round < ROUNDS; round++) {
      const message = randomMessage(random, schema, 3);
      const bytes: Uint8Array = toBinary(schema, message);
      assert.deepEqual(encodeMessage(schema, message), bytes, `${typeName} written otherwise`);
      const decoded: Message = decodeMessage(schema, bytes);
      assert.deepEqual(decoded, fromBinary(schema, bytes), `${typeName} read otherwise`);
      assert.deepEqual(toBinary(schema, decoded), bytes);
    }
  }
  assert.ok(count > 100);
});

Deno.test("encodeMessage() takes what makes a message, and leaves out what is undefined", () => {
  const init = { taskId: "t", status: pb.TaskStatus.WORKING, createdAt: undefined };
  const bytes = toBinary(
    pb.TaskSchema,
    create(pb.TaskSchema, { taskId: "t", status: pb.TaskStatus.WORKING }),
  );
  assert.deepEqual(encodeMessage(pb.TaskSchema, init), bytes);
});

Deno.test("encodeMessage() refuses what a field cannot have, and writes the next message", () => {
  assert.throws(() => encodeMessage(pb.TaskSchema, { taskId: "t", status: 2 ** 31 }), RangeError);
  assert.throws(() => encodeMessage(pb.TaskSchema, { taskId: "t", generation: 2n ** 63n }), RangeError);
  assert.deepEqual(encodeMessage(pb.TaskSchema, { taskId: "t" }), new Uint8Array([10, 1, 116]));
});

Deno.test("encodeMessage() leaves a message alone when the next is written, however long they are", () => {
  for (const length of [1, 70_000, 300_000]) {
    const first = encodeMessage(StreamChunkSchema, { data: new Uint8Array(length).fill(1) });
    const before = first.slice();
    encodeMessage(StreamChunkSchema, { data: new Uint8Array(length).fill(2) });
    assert.ok(Buffer.compare(first, before) === 0, `${length} bytes`);
  }
});

Deno.test("encodeMessage() writes large messages", () => {
  const data = new Uint8Array(3_000_000).fill(7);
  const content = { case: "rawPart", value: { data, filename: "ü".repeat(100_000) } } as const;
  const init = { parts: [{ content }, { content }] };
  const bytes = encodeMessage(pb.MessageSchema, init);
  assert.deepEqual(bytes, toBinary(pb.MessageSchema, create(pb.MessageSchema, init)));
  assert.deepEqual(encodeMessage(pb.TaskSchema, { taskId: "t" }), new Uint8Array([10, 1, 116]));
});

Deno.test("decodeMessage() passes over unknown fields and takes fields in any order, the last value of each", () => {
  const writer = new BinaryWriter();
  writer.tag(99, WireType.Varint).uint64(2n ** 63n).tag(98, WireType.LengthDelimited).string("new");
  writer.tag(97, WireType.Bit32).fixed32(1).tag(96, WireType.Bit64).fixed64(1n);
  writer.tag(3, WireType.Varint).int32(pb.TaskStatus.FAILED).tag(3, WireType.Varint).int32(
    pb.TaskStatus.WORKING,
  );
  writer.tag(1, WireType.LengthDelimited).string("t");
  assert.ok(equals(
    pb.TaskSchema,
    decodeMessage(pb.TaskSchema, writer.finish()),
    create(pb.TaskSchema, { taskId: "t", status: pb.TaskStatus.WORKING }),
  ));
});

Deno.test("decodeMessage() merges a message that is given twice, as the library does", () => {
  const part = (value: object) => toBinary(pb.SendTaskPayloadSchema, create(pb.SendTaskPayloadSchema, value));
  const bytes = new Uint8Array([
    ...part({ message: { messageId: "m", parts: [{ filename: "a" }] } }),
    ...part({ message: { role: pb.MessageRole.AGENT, parts: [{ filename: "b" }] } }),
  ]);
  assert.deepEqual(
    decodeMessage(pb.SendTaskPayloadSchema, bytes),
    fromBinary(pb.SendTaskPayloadSchema, bytes),
  );
});

Deno.test("decodeMessage() keeps a key of a map from changing what the map is", () => {
  const bytes = encodeMessage(pb.TaskSchema, { metadata: JSON.parse(`{"__proto__": "x"}`) });
  const { metadata } = decodeMessage(pb.TaskSchema, bytes);
  assert.deepEqual(Object.entries(metadata), [["__proto__", "x"]]);
  assert.equal(Object.getPrototypeOf(metadata), Object.prototype);
});

for (
  const [name, bytes] of [
    ["ends within a number", [24, 0x80]],
    ["ends within a text", [10, 5, 97]],
    ["has a message that is longer than it", [34, 100, 10]],
    ["has a field that is longer than its message", [34, 2, 10, 9, 97, 97, 97, 97, 97, 97, 97, 97, 97]],
    ["has a number without end", [24, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255]],
    ["has a group", [0x0b, 0x0c]],
    ["has a field 0", [0, 0]],
    ["has text that is no UTF-8", [10, 2, 0xc3, 0x28]],
  ] as const
) {
  Deno.test(`decodeMessage() refuses a message that ${name}`, () => {
    assert.throws(() => decodeMessage(pb.TaskSchema, new Uint8Array(bytes)));
  });
}
