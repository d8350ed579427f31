import type { IncomingMessage } from "node:http";
import { CodedError } from "../core/errors.ts";
import type { BodyShare } from "./body_budget.ts";

export interface ServerRequestOptions {
  isSecure: boolean;
  maxBodyBytes: number;
  /** What the bodies of all requests under way may take. */
  share: BodyShare;
  /** Fires when the caller has gone. */
  signal: AbortSignal;
}

/** Methods that no `Request` can have. */
const FORBIDDEN_METHODS = ["CONNECT", "TRACE", "TRACK"];

/**
 * The request as handlers take it, its body as it comes in; undefined when it has no usable URL or method, `too_large` when it
 * says itself that its body is longer than is taken. Reading a longer body fails with `resource_exhausted`,
 * and with `unavailable` when there is no room for it beside those of other requests.
 */
export function toRequest(
  message: IncomingMessage,
  { isSecure, maxBodyBytes, share, signal }: ServerRequestOptions,
): Request | "too_large" | undefined {
  const { method = "GET", url: path = "/", rawHeaders } = message;
  const host = message.headers.host ?? "localhost";
  // A host with more than a name and a port would be read as a part of the path.
  if (FORBIDDEN_METHODS.includes(method.toUpperCase()) || /[/\\?#@]/.test(host)) return undefined;
  const url = URL.parse(path.startsWith("/") ? `${isSecure ? "https" : "http"}://${host}${path}` : path);
  // A request may name its whole URL; the standard's Request takes none with a password in it.
  if (url === null || !/^https?:$/.test(url.protocol) || url.username + url.password !== "") return undefined;
  if (Number(message.headers["content-length"] ?? 0) > maxBodyBytes) return "too_large";
  const headers = new Headers();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    headers.append(String(rawHeaders[i]), String(rawHeaders[i + 1]));
  }
  if (method === "GET" || method === "HEAD") return new Request(url, { method, headers, signal });
  return new Request(url, { method, headers, signal, body: bodyOf(message, { maxBodyBytes, share }) });
}

function bodyOf(
  message: IncomingMessage,
  { maxBodyBytes, share }: Pick<ServerRequestOptions, "maxBodyBytes" | "share">,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let bytes = 0;
  let isOver = false; // nobody reads any more
  return new ReadableStream({
    type: "bytes",
    start(stream) {
      message.on("data", (chunk: Uint8Array<ArrayBuffer>) => {
        bytes += chunk.byteLength;
        const refusal = bytes > maxBodyBytes
          ? new CodedError(
            "resource_exhausted",
            `The body of the request is longer than ${maxBodyBytes} bytes`,
          )
          : share.take(chunk.byteLength)
          ? undefined
          : new CodedError("unavailable", "Too many long requests come at once: send it again in a moment");
        if (refusal !== undefined) {
          isOver = true;
          message.removeAllListeners("data");
          message.pause();
          return stream.error(refusal);
        }
        if (chunk.byteLength > 0) stream.enqueue(new Uint8Array(chunk));
        if ((stream.desiredSize ?? 0) <= 0) message.pause();
      });
      message.once("end", () => {
        if (isOver) return;
        isOver = true;
        stream.close();
        stream.byobRequest?.respond(0);
      });
      message.once("close", () => {
        if (!isOver) {
          isOver = true;
          stream.error(new CodedError("cancelled", "The caller has gone"));
        }
      });
    },
    pull() {
      message.resume();
    },
    cancel() {
      isOver = true;
      message.removeAllListeners("data");
      message.resume();
    },
  });
}
