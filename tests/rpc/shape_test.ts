import assert from "node:assert/strict";
import { create, type DescMessage, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { FileDescriptorProtoSchema, StructSchema, ValueSchema } from "@bufbuild/protobuf/wkt";
import { checkShape, decodeWithin } from "../../rpc/shape.ts";
import * as pb from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { AgentCardSchema, P2PExtensionSchema } from "../../gen/agentanycast/v1/agent_card_pb.ts";

const ROOMY = { maxFields: 1_000_000, maxDepth: 100 };

/** Passes with `maxFields` of exactly `count` and is refused, with a sentence that tells the limit, with one less. */
function assertCounts(schema: DescMessage, bytes: Uint8Array, count: number): void {
  checkShape(schema, bytes, { ...ROOMY, maxFields: count });
  assert.throws(() => checkShape(schema, bytes, { ...ROOMY, maxFields: count - 1 }), {
    code: "invalid_argument",
    message: new RegExp(`^The ${schema.name} has more than ${count - 1} fields: `),
  });
}

/** As {@link assertCounts}, for the levels. */
function assertDepth(schema: DescMessage, bytes: Uint8Array, depth: number): void {
  checkShape(schema, bytes, { ...ROOMY, maxDepth: depth });
  assert.throws(() => checkShape(schema, bytes, { ...ROOMY, maxDepth: depth - 1 }), {
    code: "invalid_argument",
    message: new RegExp(`^The ${schema.name} is nested deeper than ${depth - 1} levels: `),
  });
}

function assertMalformed(schema: DescMessage, bytes: Uint8Array, why: RegExp): void {
  assert.throws(() => checkShape(schema, bytes, ROOMY), { code: "invalid_argument", message: why });
}

/** Nothing but `count` times the field `number` with `bytes` in it. */
function repeated(number: number, count: number, bytes: Uint8Array = new Uint8Array()): Uint8Array {
  const writer = new BinaryWriter();
  for (let i = 0; i < count; i++) writer.tag(number, WireType.LengthDelimited).bytes(bytes);
  return writer.finish();
}

function nested(levels: number, wrap: (inner: unknown) => unknown): JsonObject {
  let value: unknown = null;
  for (let i = 0; i < levels; i++) value = wrap(value);
  return { value } as JsonObject;
}

function dataPart(data: JsonObject): Uint8Array {
  return toBinary(pb.DataPartSchema, create(pb.DataPartSchema, { data }));
}

Deno.test("checkShape() passes an empty message with the lowest limits", () => {
  checkShape(pb.MessageSchema, new Uint8Array(), { maxFields: 0, maxDepth: 1 });
});

Deno.test("checkShape() counts every part, set or not", () => {
  assertCounts(pb.MessageSchema, repeated(3, 500), 500);
  const message = create(pb.MessageSchema, {
    messageId: "m", // 1
    parts: [{ content: { case: "textPart", value: { text: "hi" } }, mediaType: "text/plain" }], // part, kind, text, type
  });
  assertCounts(pb.MessageSchema, toBinary(pb.MessageSchema, message), 5);
});

Deno.test("checkShape() counts repeated strings and a value that is given again and again", () => {
  assertCounts(P2PExtensionSchema, repeated(2, 300, new TextEncoder().encode("tcp")), 300);
  assertCounts(P2PExtensionSchema, repeated(1, 300), 300);
});

Deno.test("checkShape() counts map entries with their keys and values", () => {
  const metadata = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, "v"]));
  assertCounts(pb.PartSchema, toBinary(pb.PartSchema, create(pb.PartSchema, { metadata })), 300);
  assertCounts(pb.PartSchema, repeated(11, 100), 100);
});

Deno.test("checkShape() counts the values of a Struct", () => {
  // data; an entry, its key, its value, the list, two items, the content of each
  assertCounts(pb.DataPartSchema, dataPart({ a: [1, "x"] }), 9);
});

Deno.test("checkShape() counts unknown fields of every wire type, also in map entries", () => {
  const writer = new BinaryWriter();
  for (let i = 0; i < 10; i++) {
    writer.tag(900, WireType.Varint).uint64(2n ** 64n - 1n);
    writer.tag(901, WireType.Bit64).fixed64(1);
    writer.tag(902, WireType.LengthDelimited).bytes(new Uint8Array(300));
    writer.tag(903, WireType.Bit32).fixed32(1);
  }
  const unknown = writer.finish();
  assertCounts(AgentCardSchema, unknown, 40);
  assertCounts(pb.PartSchema, repeated(11, 1, unknown), 41);
});

Deno.test("checkShape() counts packed values and takes them unpacked too", () => {
  const publicDependency = 10;
  const packed = (...bytes: number[]) => repeated(publicDependency, 1, new Uint8Array(bytes));
  assertCounts(FileDescriptorProtoSchema, packed(1, 2, 0x80, 1), 4);
  assertCounts(FileDescriptorProtoSchema, new Uint8Array([publicDependency << 3, 1]), 1);
  assertMalformed(FileDescriptorProtoSchema, new Uint8Array([...packed(1, 0x80), 0x50, 1]), /ends beyond/);
});

Deno.test("checkShape() counts levels as the decoder does: two for each object or list of a Struct", () => {
  for (const levels of [0, 1, 10, 40]) {
    // the part, its Struct and the Value in it; then Struct or ListValue and Value
    assertDepth(pb.DataPartSchema, dataPart(nested(levels, (value) => ({ value }))), 3 + 2 * levels);
    assertDepth(pb.DataPartSchema, dataPart(nested(levels, (value) => [value])), 3 + 2 * levels);
  }
});

Deno.test("checkShape() takes what the decoder takes at its own limit and nothing deeper", () => {
  const struct = (levels: number) => dataPart(nested(levels, (value) => [value]));
  const limits = { maxFields: 1000, maxDepth: 99 };
  const { data } = decodeWithin(pb.DataPartSchema, struct(48), limits);
  assert.deepEqual(data, nested(48, (value) => [value]));
  assert.throws(() => decodeWithin(pb.DataPartSchema, struct(49), limits), { message: /deeper than 99/ });
});

Deno.test("checkShape() does not run out of stack however deep the nesting", () => {
  const [listValue, values, levels] = [6, 1, 20_000];
  const writer = new BinaryWriter();
  for (let i = 0; i < levels; i++) {
    writer.tag(i % 2 === 0 ? listValue : values, WireType.LengthDelimited).fork();
  }
  for (let i = 0; i < levels; i++) writer.join();
  const bytes = writer.finish();
  assertDepth(ValueSchema, bytes, levels + 1);
});

Deno.test("checkShape() refuses bytes that are cut off anywhere within a field", () => {
  const bytes = toBinary(
    pb.PartSchema,
    create(pb.PartSchema, { content: { case: "textPart", value: { text: "abc" } } }),
  );
  checkShape(pb.PartSchema, bytes, ROOMY);
  for (let end = 1; end < bytes.length; end++) {
    assertMalformed(pb.PartSchema, bytes.subarray(0, end), /are no Part: /);
  }
});

Deno.test("checkShape() refuses what the decoder would read in another way", () => {
  const hostile: [DescMessage, string, RegExp][] = [
    [pb.MessageSchema, "ffffffffffffffffffff", /are no Message: /],
    [pb.MessageSchema, "0001", /has the number 0/],
    [pb.MessageSchema, "0701", /has the number 0/],
    [pb.MessageSchema, "1801", /field 3 has wire type 0/],
    [pb.MessageSchema, "12021a00", /field 2 has wire type 2/],
    [pb.MessageSchema, "090000000000000000", /field 1 has wire type 1/],
    [pb.PartSchema, "5a040a001001", /field 2 has wire type 0/], // value of an entry of a map of strings
    [pb.MessageSchema, "1b1c", /field 3 has wire type 3/],
    [pb.MessageSchema, "a338a438", /field 900 has wire type 3/], // an unknown group
    [pb.MessageSchema, "a438", /wire type 4/],
    [pb.MessageSchema, "1affffffff0f", /ends beyond/],
    [pb.MessageSchema, "1a020a050a03616263", /ends beyond/], // a text part longer than its part
    [pb.MessageSchema, "1a025203616263", /ends beyond/], // a media type longer than its part
    [pb.PartSchema, "5a020a03616263", /ends beyond/], // a key longer than its entry
  ];
  for (const [schema, hex, why] of hostile) assertMalformed(schema, Uint8Array.fromHex(hex), why);
});

Deno.test("checkShape() refuses a second message where one belongs, which costs quadratic time to merge", () => {
  assertMalformed(pb.DataPartSchema, repeated(1, 2), /field 1 is given twice/);
  assertMalformed(pb.PartSchema, Uint8Array.fromHex("120022001200"), /field 2 is given twice/);
  assertMalformed(StructSchema, repeated(1, 1, repeated(2, 2)), /field 2 is given twice/);
  checkShape(pb.MessageSchema, repeated(3, 2, repeated(2, 1)), ROOMY);
});

Deno.test("decodeWithin() gives the message, and `invalid_argument` for text that is not UTF-8", () => {
  const part = create(pb.TextPartSchema, { text: "grüß" });
  assert.deepEqual(decodeWithin(pb.TextPartSchema, toBinary(pb.TextPartSchema, part), ROOMY), part);
  assert.throws(() => decodeWithin(pb.TextPartSchema, repeated(1, 1, new Uint8Array([0xff])), ROOMY), {
    code: "invalid_argument",
    message: /are no TextPart: /,
  });
});
