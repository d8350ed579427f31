import { Buffer } from "node:buffer";
import { type DescMethod, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { ErrorCode } from "./errors.ts";

/** The gRPC status number of each code. */
export const GRPC_STATUS: Readonly<Record<ErrorCode, number>> = {
  cancelled: 1,
  unknown: 2,
  invalid_argument: 3,
  deadline_exceeded: 4,
  not_found: 5,
  already_exists: 6,
  permission_denied: 7,
  resource_exhausted: 8,
  failed_precondition: 9,
  aborted: 10,
  out_of_range: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  data_loss: 15,
  unauthenticated: 16,
};

const CODE_OF_STATUS = new Map(
  Object.entries(GRPC_STATUS).map(([code, status]) => [status, code as ErrorCode]),
);

/** The code of a gRPC status number; `unknown` for a number that gRPC does not define. */
export function codeOfStatus(status: number): ErrorCode {
  return CODE_OF_STATUS.get(status) ?? "unknown";
}

/** Default limit of one message: the 16 MiB an envelope may have, and room for what surrounds it. */
export const MAX_RPC_MESSAGE_BYTES = 24 * 1024 * 1024;

/** Longest answer: a task with all its messages and artifacts, as large as the store takes one. */
export const MAX_RPC_ANSWER_BYTES = 65 * 1024 * 1024;

/** One method as a gRPC library wants it: its path, its shape and how its messages become bytes. */
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
    requestSerialize: (message) => asBuffer(toBinary(input, message)),
    requestDeserialize: (bytes) => fromBinary(input, bytes),
    responseSerialize: (message) => asBuffer(toBinary(output, message)),
    responseDeserialize: (bytes) => fromBinary(output, bytes),
  };
}

/** The same bytes, not copied, as the Buffer gRPC libraries insist on. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
