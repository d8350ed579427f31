import http from "node:http";
import https from "node:https";
import { CodedError, errorMessage } from "../core/errors.ts";

/** How long a try of one address may take when there are others to try, in milliseconds. */
const NEXT_ADDRESS_MS = 3_000;

/** Certificates (PEM) for one origin. */
export interface TlsFiles {
  /** Certificates of authorities to trust for this origin, instead of the usual ones. */
  readonly ca?: string;
  /** Certificate and key to show to the server. */
  readonly cert?: string;
  readonly key?: string;
}

/** Connections that are kept for the next request to the same place. */
export interface Connections {
  readonly plain: http.Agent;
  /** The agent for `origin`: one that is to be shown other certificates has its own. */
  secure(origin: string): https.Agent;
}

/** One request whose connection goes to one of `addresses`, whatever the name in `url` resolves to by then. */
export interface PinnedRequest {
  readonly url: URL;
  readonly addresses: readonly string[];
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array | undefined;
  readonly signal: AbortSignal;
  readonly connections: Connections;
}

/**
 * Sends `request` to the first of its addresses that takes the connection.
 * @throws CodedError `unavailable` when none does or the exchange breaks, whose detail `sent` says whether the request
 * may have arrived (`no`, `maybe`); the reason of the signal when that fires.
 */
export async function sendPinned(request: PinnedRequest): Promise<http.IncomingMessage> {
  let last: unknown;
  for (const [index, address] of request.addresses.entries()) {
    request.signal.throwIfAborted();
    try {
      return await sendTo(address, request, index + 1 < request.addresses.length);
    } catch (error) {
      if (request.signal.aborted) throw request.signal.reason;
      last = error;
      if (!(error instanceof NotConnected)) break;
    }
  }
  const cause = last instanceof NotConnected ? last.cause : last;
  const what = last instanceof NotConnected ? "cannot be reached" : "broke the connection off";
  throw new CodedError("unavailable", `${request.url.origin} ${what}: ${errorMessage(cause)}`, {
    cause,
    details: { sent: last instanceof NotConnected ? "no" : "maybe" },
  });
}

/** Nothing of the request has left: another address may be tried. */
class NotConnected extends Error {}

function sendTo(address: string, request: PinnedRequest, hasNext: boolean): Promise<http.IncomingMessage> {
  const { url, signal } = request;
  const secure = url.protocol === "https:";
  const options: https.RequestOptions = {
    host: address,
    port: url.port === "" ? (secure ? 443 : 80) : Number(url.port),
    path: `${url.pathname}${url.search}`,
    method: request.method,
    headers: { ...Object.fromEntries(request.headers), host: url.host },
    agent: secure ? request.connections.secure(url.origin) : request.connections.plain,
    ...(secure && { servername: serverName(url, address) }),
  };
  return new Promise((resolve, reject) => {
    let connected = false;
    const outgoing = (secure ? https : http).request(options);
    const timer = hasNext
      ? setTimeout(() => outgoing.destroy(new Error("no answer to the connection")), NEXT_ADDRESS_MS)
      : undefined;
    const onAbort = () => outgoing.destroy();
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    outgoing.once("socket", (socket) => {
      outgoing.reusedSocket = false; // Else Deno sends it again by itself when a kept connection breaks.
      const onConnect = () => {
        connected = true;
        clearTimeout(timer);
      };
      if (socket.connecting) socket.once(secure ? "secureConnect" : "connect", onConnect);
      else onConnect();
    });
    outgoing.once("response", (response) => {
      settle();
      resolve(response);
    });
    outgoing.on("error", (error) => {
      settle();
      reject(connected ? error : new NotConnected("not connected", { cause: error }));
    });
    outgoing.end(request.body);
  });
}

/** The name that SNI asks for and the certificate must be for. An address is not asked for (RFC 6066), only checked. */
function serverName(url: URL, address: string): string {
  const name = url.hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
  return name === address ? "" : name;
}
