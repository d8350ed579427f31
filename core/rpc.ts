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
