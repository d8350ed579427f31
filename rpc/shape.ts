import { type DescField, type DescMessage, type MessageShape, ScalarType } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { CodedError, errorMessage } from "../core/errors.ts";
import { WireReader } from "../core/wire_reader.ts";
import { decodeMessage } from "./codecs.ts";

/** What decoding may cost; see {@link checkShape}. */
export interface ShapeLimits {
  /** Most fields in all: nested messages, items of lists, entries of maps, plain values and unknown fields. */
  readonly maxFields: number;
  /** Most messages inside each other, the outermost included; map entries are not levels, as in the decoder. */
  readonly maxDepth: number;
}

/** What has fields: a message, or an entry of a map, with its key in field 1 and its value in field 2. */
type Holder = DescMessage | DescField & { fieldKind: "map" };

/** What a known field holds: a message or map entry, or else plain values of one wire type. */
interface Content {
  readonly holder: Holder | undefined;
  readonly wireType: WireType;
  /** Whether it may come more than once. */
  readonly repeated: boolean;
}

/** A holder that is being read. */
interface Level {
  readonly holder: Holder;
  readonly depth: number;
  /** Position behind its last byte. */
  readonly end: number;
  /** The fields met in it that hold one message. */
  readonly met: number[];
}

/**
 * The message that `bytes` are, decoded only after {@link checkShape} has passed them.
 * @throws CodedError `invalid_argument` when they are none or exceed `limits`.
 */
export function decodeWithin<D extends DescMessage>(
  schema: D,
  bytes: Uint8Array,
  limits: ShapeLimits,
): MessageShape<D> {
  checkShape(schema, bytes, limits);
  return orMalformed(schema, () => decodeMessage(schema, bytes));
}

/**
 * Refuses bytes that would cost too much to decode. It walks them in place and builds nothing: its time grows with the
 * fields it meets, `maxFields` at most, and not with the bytes these hold.
 *
 * It is stricter than the decoder, so that neither sees fields where the other skips bytes: a known field of another
 * wire type, a field that ends beyond its message and a group are refused. So is a message given twice where one
 * belongs: the decoder would merge the two, which takes quadratic time for a Struct.
 *
 * @throws CodedError `invalid_argument` when `bytes` are no message of `schema` or exceed `limits`.
 */
export function checkShape(schema: DescMessage, bytes: Uint8Array, limits: ShapeLimits): void {
  orMalformed(schema, () => new ShapeWalk(schema, bytes, limits).run());
}

/** One walk over a message; it keeps a stack of its own. */
class ShapeWalk {
  readonly #name: string;
  readonly #reader: WireReader;
  readonly #limits: ShapeLimits;
  readonly #levels: Level[];
  #count = 0;

  constructor(schema: DescMessage, bytes: Uint8Array, limits: ShapeLimits) {
    this.#name = schema.name;
    this.#reader = new WireReader(bytes);
    this.#limits = limits;
    this.#levels = [{ holder: schema, depth: 1, end: bytes.length, met: [] }];
  }

  run(): void {
    for (let level; (level = this.#levels.at(-1)) !== undefined;) {
      if (this.#reader.pos < level.end) this.#readField(level);
      else this.#levels.pop();
    }
  }

  #readField(level: Level): void {
    this.#countOne();
    const reader = this.#reader;
    const tag = reader.uint32();
    const number = tag >>> 3;
    const wireType: WireType = tag & 7;
    const content = contentOf(level.holder, number);
    const isSized = wireType === WireType.LengthDelimited;
    if (content?.holder !== undefined && isSized) {
      if (!content.repeated) meetOnce(level, number);
      this.#enter(content.holder, level);
    } else if (content === undefined ? wireType !== WireType.StartGroup : wireType === content.wireType) {
      reader.skip(tag);
    } else if (content?.repeated && isSized) {
      this.#readPacked(content.wireType);
    } else {
      throw new Error(`field ${number} has wire type ${wireType}`);
    }
    if (reader.pos > level.end) throw new Error(`field ${number} ends beyond its message`);
  }

  #enter(holder: Holder, { depth: outer, end: outerEnd }: Level): void {
    const depth = holder.kind === "message" ? outer + 1 : outer;
    if (depth > this.#limits.maxDepth) {
      throw new CodedError(
        "invalid_argument",
        `The ${this.#name} is nested deeper than ${this.#limits.maxDepth} levels: flatten it or send it as text`,
      );
    }
    const end = this.#reader.uint32() + this.#reader.pos;
    if (end > outerEnd) throw new Error("a message ends beyond the one it is in");
    this.#levels.push({ holder, depth, end, met: [] });
  }

  #readPacked(wireType: WireType): void {
    const end = this.#reader.uint32() + this.#reader.pos;
    while (this.#reader.pos < end) {
      this.#countOne();
      this.#reader.skip(1 << 3 | wireType);
    }
    if (this.#reader.pos > end) throw new Error("a packed value ends beyond its list");
  }

  #countOne(): void {
    const { maxFields } = this.#limits;
    if (++this.#count <= maxFields) return;
    throw new CodedError(
      "invalid_argument",
      `The ${this.#name} has more than ${maxFields} fields: split it or send it as text`,
    );
  }
}

function meetOnce({ met }: Level, number: number): void {
  if (met.includes(number)) throw new Error(`field ${number} is given twice`);
  met.push(number);
}

/** What is known of the fields of a holder, by their numbers. */
const CONTENTS = new WeakMap<Holder, Map<number, Content>>();

/** What field `number` of `holder` holds; undefined when it is unknown. */
function contentOf(holder: Holder, number: number): Content | undefined {
  let contents = CONTENTS.get(holder);
  if (contents === undefined) {
    const numbers = holder.kind === "field" ? [1, 2] : holder.fields.map((field) => field.number);
    contents = new Map(numbers.flatMap((one) => {
      const content = findContent(holder, one);
      return content === undefined ? [] : [[one, content] as const];
    }));
    CONTENTS.set(holder, contents);
  }
  return contents.get(number);
}

function findContent(holder: Holder, number: number): Content | undefined {
  if (holder.kind === "field" && number === 1) return contentOfType({ scalar: holder.mapKey }, false);
  if (holder.kind === "field") return number === 2 ? contentOfType(holder, false) : undefined;
  const field = holder.fields.find((one) => one.number === number);
  if (field?.fieldKind === "map") return contentOfType({ message: field }, true);
  return field && contentOfType(field, field.fieldKind === "list");
}

/** The content of a type: a holder, a scalar or, with neither, an enum. */
function contentOfType(
  { message, scalar }: { message?: Holder | undefined; scalar?: ScalarType | undefined },
  repeated: boolean,
): Content {
  return { holder: message, wireType: message ? WireType.LengthDelimited : wireTypeOf(scalar), repeated };
}

function wireTypeOf(scalar: ScalarType | undefined): WireType {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WireType.LengthDelimited;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.Bit64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.Bit32;
    default:
      return WireType.Varint;
  }
}

/** What `read` answers; what it throws becomes `invalid_argument`. */
function orMalformed<T>(schema: DescMessage, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof CodedError) throw cause;
    throw new CodedError("invalid_argument", `The bytes are no ${schema.name}: ${errorMessage(cause)}`, {
      cause,
    });
  }
}
