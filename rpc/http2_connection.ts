import http2 from "node:http2";
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { abortable } from "../core/abortable.ts";
import { CodedError, type CodedErrorOptions } from "../core/errors.ts";
import { installHttp2Guard } from "../core/http2_guard.ts";
import { formatRpcAddress, type RpcAddress } from "../core/rpc_address.ts";

/** Bytes one stream may have under way: enough for one large message not to wait for the reader. */
const WINDOW_BYTES = 4 * 1024 * 1024;

/** Nobody answers, or the connection ended before the answer (`unavailable`): whether a call was carried out is not known. */
export class ConnectionLostError extends CodedError {
  override name = "ConnectionLostError";
  constructor(message: string, options?: CodedErrorOptions) {
    super("unavailable", message, options);
  }
}

/** How a connection is made. */
export interface ConnectionOptions {
  /** Certificates in PEM that a `tls` address is trusted by, in place of those of the system. */
  ca?: string | undefined;
  /** The name that a `tls` address has to have a certificate for. Default its host. */
  servername?: string | undefined;
  /** Told when a connection that stood has ended, unless it was closed here. */
  onLost?: (() => void) | undefined;
  /** Certificate in PEM by which a `tls` address knows the caller, with its `key`. */
  cert?: string | undefined;
  /** Private key of `cert` in PEM. */
  key?: string | undefined;
}

/** One HTTP/2 connection to an address, made when it is first needed and again when it is lost. */
export class Http2Connection {
  readonly #address: RpcAddress;
  readonly #options: ConnectionOptions;
  /** Sessions not closed yet; one that says goodbye may still have requests under way. */
  readonly #open = new Set<http2.ClientHttp2Session>();
  #current: Promise<http2.ClientHttp2Session> | undefined;
  #closed = false;

  constructor(address: RpcAddress, options: ConnectionOptions = {}) {
    installHttp2Guard();
    this.#address = address;
    this.#options = options;
  }

  /** Begins a request, which `signal` cancels. Throws `ConnectionLostError` when nobody answers, or the reason of `signal`. */
  async request(headers: http2.OutgoingHttpHeaders, signal: AbortSignal): Promise<http2.ClientHttp2Stream> {
    if (this.#closed) throw this.#unavailable("The connection was closed");
    this.#current ??= this.#connect();
    const session = await abortable(this.#current, signal);
    signal.throwIfAborted(); // fired since: it would not tell the listener below
    try {
      const stream = session.request(headers);
      const cancel = () => stream.close(http2.constants.NGHTTP2_CANCEL);
      signal.addEventListener("abort", cancel, { once: true });
      stream.once("close", () => signal.removeEventListener("abort", cancel));
      return stream;
    } catch (cause) {
      throw this.#unavailable("The connection was lost", { cause });
    }
  }

  /** Cuts the connection with all its requests. */
  close(): void {
    this.#closed = true;
    for (const session of this.#open) session.destroy();
  }

  #connect(): Promise<http2.ClientHttp2Session> {
    const socket = openSocket(this.#address, this.#options);
    const session = http2.connect(originOf(this.#address, this.#options), {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
    });
    this.#open.add(session);
    const connected = new Promise<http2.ClientHttp2Session>((resolve, reject) => {
      const forget = () => {
        if (this.#current === connected) this.#current = undefined;
      };
      const fail = (cause?: unknown) => {
        forget();
        this.#open.delete(session);
        socket.destroy();
        reject(this.#unavailable("Nobody answers", { cause, details: { sent: "no" } }));
      };
      let isUp = false;
      session.once("remoteSettings", () => { // the other side speaks HTTP/2
        isUp = true;
        widen(session);
        resolve(session);
      });
      session.on("error", fail);
      session.once("close", () => {
        fail();
        if (isUp && !this.#closed) this.#options.onLost?.();
      });
      session.once("goaway", forget); // what is under way goes on, the next request gets a new connection
    });
    return connected;
  }

  #unavailable(what: string, options?: CodedErrorOptions): ConnectionLostError {
    return new ConnectionLostError(`${what} at ${formatRpcAddress(this.#address)}`, options);
  }
}

/** Lets all streams together have as much under way as one may; where that cannot be said, they have 64 KiB. */
function widen(session: http2.Http2Session): void {
  const { setLocalWindowSize } = session as Partial<http2.Http2Session>; // some runtimes have none
  setLocalWindowSize?.call(session, WINDOW_BYTES);
}

/** What the other side is called in the requests: proxies choose by it whom they lead to. */
function originOf(address: RpcAddress, { servername }: ConnectionOptions): string {
  if (address.kind === "unix") return "http://localhost";
  const host = servername ?? (address.host.includes(":") ? `[${address.host}]` : address.host);
  return `${address.kind === "tls" ? "https" : "http"}://${host}:${address.port}`;
}

function openSocket(address: RpcAddress, { ca, servername, cert, key }: ConnectionOptions): Socket {
  if (address.kind === "unix") return connect({ path: address.path });
  const { host, port } = address;
  if (address.kind === "tcp") return connect({ host, port, noDelay: true });
  return connectTls({
    ...{ host, port, ALPNProtocols: ["h2"] },
    ...isIP(servername ?? host) === 0 && { servername: servername ?? host },
    ...ca !== undefined && { ca },
    ...cert !== undefined && { cert },
    ...key !== undefined && { key },
  });
}
