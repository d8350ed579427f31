import { CodedError, type ErrorCode } from "../../core/errors.ts";

/** The errors that A2A 1.0 defines, by the reason that its bindings name. */
export type A2aReason =
  | "TASK_NOT_FOUND"
  | "TASK_NOT_CANCELABLE"
  | "PUSH_NOTIFICATION_NOT_SUPPORTED"
  | "UNSUPPORTED_OPERATION"
  | "CONTENT_TYPE_NOT_SUPPORTED"
  | "INVALID_AGENT_RESPONSE"
  | "EXTENDED_AGENT_CARD_NOT_CONFIGURED"
  | "EXTENSION_SUPPORT_REQUIRED"
  | "VERSION_NOT_SUPPORTED";

/** How each is answered: its code here, which is also its gRPC status, and its number in JSON-RPC (A2A 1.0.1, section 5.4). */
const DEFINED: Readonly<Record<A2aReason, { code: ErrorCode; jsonRpc: number }>> = {
  TASK_NOT_FOUND: { code: "not_found", jsonRpc: -32001 },
  TASK_NOT_CANCELABLE: { code: "failed_precondition", jsonRpc: -32002 },
  PUSH_NOTIFICATION_NOT_SUPPORTED: { code: "failed_precondition", jsonRpc: -32003 },
  UNSUPPORTED_OPERATION: { code: "failed_precondition", jsonRpc: -32004 },
  CONTENT_TYPE_NOT_SUPPORTED: { code: "invalid_argument", jsonRpc: -32005 },
  INVALID_AGENT_RESPONSE: { code: "internal", jsonRpc: -32006 },
  EXTENDED_AGENT_CARD_NOT_CONFIGURED: { code: "failed_precondition", jsonRpc: -32007 },
  EXTENSION_SUPPORT_REQUIRED: { code: "failed_precondition", jsonRpc: -32008 },
  VERSION_NOT_SUPPORTED: { code: "failed_precondition", jsonRpc: -32009 },
};

/** The domain of {@link A2aReason}. */
const A2A_DOMAIN = "a2a-protocol.org";

/** An error that A2A defines. Its details are those of a `google.rpc.ErrorInfo`: `reason` and `domain`. */
export function a2aError(reason: A2aReason, message: string, options: { cause?: unknown } = {}): CodedError {
  return new CodedError(DEFINED[reason].code, message, {
    ...options,
    details: { reason, domain: A2A_DOMAIN },
  });
}

/** What A2A calls the error; undefined for one that it does not define. */
export function reasonOf({ details: { reason, domain } }: CodedError): A2aReason | undefined {
  return domain === A2A_DOMAIN && reason !== undefined && reason in DEFINED ? reason as A2aReason : undefined;
}

/** The number of the error in JSON-RPC. */
export function jsonRpcCodeOf(error: CodedError): number {
  const reason = reasonOf(error);
  return reason === undefined ? JSON_RPC_CODES[error.code] : DEFINED[reason].jsonRpc;
}

const JSON_RPC_CODES: Readonly<Record<ErrorCode, number>> = {
  invalid_argument: -32602,
  out_of_range: -32602,
  not_found: -32001,
  unimplemented: -32004,
  failed_precondition: -32004,
  internal: -32603,
  unknown: -32603,
  data_loss: -32603,
  // What A2A does not define: errors of this server.
  cancelled: -32000,
  deadline_exceeded: -32000,
  already_exists: -32000,
  permission_denied: -32000,
  resource_exhausted: -32000,
  aborted: -32000,
  unavailable: -32000,
  unauthenticated: -32000,
};

/** The HTTP status of the error. */
export function httpStatusOf({ code }: CodedError): number {
  return HTTP_STATUS[code];
}

const HTTP_STATUS: Readonly<Record<ErrorCode, number>> = {
  invalid_argument: 400,
  out_of_range: 400,
  failed_precondition: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  already_exists: 409,
  aborted: 409,
  resource_exhausted: 429,
  cancelled: 499,
  internal: 500,
  unknown: 500,
  data_loss: 500,
  unimplemented: 501,
  unavailable: 503,
  deadline_exceeded: 504,
};

/** The details of an error as the bindings over HTTP carry them; empty for one that A2A does not define. */
export function errorInfoOf(error: CodedError): { "@type": string; reason: string; domain: string }[] {
  const reason = reasonOf(error);
  if (reason === undefined) return [];
  return [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason, domain: A2A_DOMAIN }];
}
