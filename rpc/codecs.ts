import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { WireReader } from "../core/wire_reader.ts";
import { WireWriter } from "../core/wire_writer.ts";
import { CODECS } from "../gen/codecs.ts";

const WRITER = new WireWriter();

/**
 * The bytes of a message, or of what makes one; of fields that `schema` does not know nothing is written. Messages of our own
 * are written by generated code, others by the library.
 * @throws Error for a value that its field cannot have.
 */
export function encodeMessage<D extends DescMessage>(schema: D, message: MessageInitShape<D>): Uint8Array {
  const codec = CODECS.get(schema.typeName);
  if (codec === undefined) return toBinary(schema, create(schema, message));
  try {
    codec.write(WRITER, message);
    return WRITER.finish();
  } catch (error) {
    WRITER.reset();
    throw error;
  }
}

/**
 * The message that `bytes` are, whose fields of the type bytes are views of them; fields that `schema` does not know are passed
 * over. For bytes of strangers there is `decodeWithin`.
 * @throws Error for bytes that are none.
 */
export function decodeMessage<D extends DescMessage>(schema: D, bytes: Uint8Array): MessageShape<D> {
  const codec = CODECS.get(schema.typeName);
  if (codec === undefined) return fromBinary(schema, bytes);
  const reader = new WireReader(bytes);
  const message = codec.read(reader) as MessageShape<D>;
  if (reader.pos !== bytes.length) throw new RangeError("the last field ends beyond the message");
  return message;
}
