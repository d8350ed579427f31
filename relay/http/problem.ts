import { CodedError, type ErrorCode, toCodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";

/** The HTTP status of each code. */
const HTTP_STATUS: Readonly<Record<ErrorCode, number>> = {
  cancelled: 499,
  unknown: 500,
  invalid_argument: 400,
  deadline_exceeded: 504,
  not_found: 404,
  already_exists: 409,
  permission_denied: 403,
  resource_exhausted: 429,
  failed_precondition: 400,
  aborted: 409,
  out_of_range: 400,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
  data_loss: 500,
  unauthenticated: 401,
};

/** An error as RFC 9457 has it; what is unknown is logged and told as an internal one. */
export function toProblem(error: unknown, logger: Logger): Response {
  const coded = toCodedError(error);
  if (!(error instanceof CodedError)) logger.error("A request could not be answered", { error });
  const status = HTTP_STATUS[coded.code];
  return problem(status, coded.code, coded.message);
}

/** An answer that says what is wrong. */
export function problem(status: number, code: string, detail: string, headers: HeadersInit = {}): Response {
  const all = new Headers(headers);
  all.set("content-type", "application/problem+json");
  return new Response(`${JSON.stringify({ type: "about:blank", status, code, detail })}\n`, {
    status,
    headers: all,
  });
}
