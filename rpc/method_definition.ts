import type { DescMethod, MessageShape } from "@bufbuild/protobuf";
import { Buffer } from "node:buffer";
import { decodeMessage, encodeMessage } from "./codecs.ts";

/** One method as a gRPC library wants it: its path, its shape and how its messages, or what makes them, become bytes. */
export interface RpcMethodDefinition<I, O> {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (message: I) => Buffer;
  readonly requestDeserialize: (bytes: Uint8Array) => I;
  readonly responseSerialize: (message: O) => Buffer;
  readonly responseDeserialize: (bytes: Uint8Array) => O;
}

/** The definition of a method from its generated descriptor. */
export function toRpcMethodDefinition<M extends DescMethod>(
  method: M,
): RpcMethodDefinition<MessageShape<M["input"]>, MessageShape<M["output"]>> {
  const { parent, name, methodKind } = method;
  const input: M["input"] = method.input;
  const output: M["output"] = method.output;
  return {
    path: `/${parent.typeName}/${name}`,
    requestStream: methodKind === "client_streaming" || methodKind === "bidi_streaming",
    responseStream: methodKind === "server_streaming" || methodKind === "bidi_streaming",
    requestSerialize: (message) => asBuffer(encodeMessage(input, message)),
    requestDeserialize: (bytes) => decodeMessage(input, bytes),
    responseSerialize: (message) => asBuffer(encodeMessage(output, message)),
    responseDeserialize: (bytes) => decodeMessage(output, bytes),
  };
}

/** The same bytes, not copied, as the Buffer gRPC libraries insist on. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
