import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { CodedError } from "../core/errors.ts";
import { abortable } from "../core/abortable.ts";

/** A proxy that carries TCP connections. */
export interface Proxy {
  kind: "http" | "socks5";
  /** Whether the way to the proxy itself is TLS. */
  tls: boolean;
  host: string;
  port: number;
  user: string;
  password: string;
}

/** Longest answer of a proxy that is read. */
const MAX_ANSWER_BYTES = 16 * 1024;
const DEFAULT_PORTS = { "http:": 80, "https:": 443, "socks5:": 1080 } as const;
const SOCKS_ERRORS: Readonly<Record<number, string>> = {
  1: "it failed",
  2: "its rules do not allow it",
  3: "the network cannot be reached",
  4: "the host cannot be reached",
  5: "the connection was refused",
  6: "it took too long",
};

/** Reads `http://`, `https://` or `socks5://[user:password@]host[:port]`. Throws `invalid_argument`. */
export function parseProxy(text: string): Proxy {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const protocol = url?.protocol as keyof typeof DEFAULT_PORTS | undefined;
  if (url === undefined || protocol === undefined || !(protocol in DEFAULT_PORTS) || url.hostname === "") {
    throw new CodedError(
      "invalid_argument",
      "Could not use the proxy: expected http://, https:// or socks5://[user:password@]host:port",
    );
  }
  return {
    kind: protocol === "socks5:" ? "socks5" : "http",
    tls: protocol === "https:",
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? DEFAULT_PORTS[protocol] : Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
}

/** Opens a TCP connection to `host` through `proxy`. Rejects with what the proxy said, or with the reason of `signal`. */
export async function connectThrough(
  proxy: Proxy,
  { host, port, signal }: { host: string; port: number; signal: AbortSignal },
): Promise<Socket> {
  const at = { host: proxy.host, port: proxy.port };
  const socket: Socket = proxy.tls
    ? connectTls({ ...at, servername: isIP(at.host) ? "" : at.host })
    : connectTcp(at);
  const reader = new SocketReader(socket);
  try {
    await abortable(reader.opened(proxy.tls ? "secureConnect" : "connect"), signal);
    const talk = proxy.kind === "http" ? askHttp : askSocks;
    await abortable(talk(proxy, { socket, reader, host, port }), signal);
    reader.release();
    socket.setNoDelay(true);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

interface Talk {
  socket: Socket;
  reader: SocketReader;
  host: string;
  port: number;
}

async function askHttp({ user, password }: Proxy, { socket, reader, host, port }: Talk): Promise<void> {
  const target = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const login = user === "" ? "" : `Proxy-Authorization: Basic ${btoa(`${user}:${password}`)}\r\n`;
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${login}\r\n`);
  const head = await reader.until("\r\n\r\n");
  const status = /^HTTP\/1\.[01] (\d{3})[^\r\n]*/.exec(head);
  if (status?.[1] !== "200") throw refused(status?.[0] ?? "something that is not HTTP");
}

/** RFC 1928, and RFC 1929 for the login. */
async function askSocks({ user, password }: Proxy, { socket, reader, host, port }: Talk): Promise<void> {
  socket.write(user === "" ? Uint8Array.of(5, 1, 0) : Uint8Array.of(5, 2, 0, 2));
  const [, method] = await reader.bytes(2);
  if (method === 2) {
    const [name, secret] = [Buffer.from(user), Buffer.from(password)];
    socket.write(Buffer.concat([Buffer.of(1, name.length), name, Buffer.of(secret.length), secret]));
    const [, login] = await reader.bytes(2);
    if (login !== 0) throw refused("that user and password are wrong");
  } else if (method !== 0) throw refused("that it wants another kind of login");
  socket.write(Buffer.concat([Buffer.of(5, 1, 0), toSocksAddress(host), Buffer.of(port >> 8, port & 0xff)]));
  const [, reply = 1, , kind] = await reader.bytes(4);
  if (reply !== 0) throw refused(SOCKS_ERRORS[reply] ?? `error ${reply}`);
  const length = kind === 1 ? 4 : kind === 4 ? 16 : (await reader.bytes(1))[0] ?? 0;
  await reader.bytes(length + 2);
}

function toSocksAddress(host: string): Buffer {
  if (isIP(host) === 4) return Buffer.of(1, ...host.split(".").map(Number));
  // Names, and IPv6 written as one, are the proxy's to look up.
  const name = Buffer.from(host);
  return Buffer.concat([Buffer.of(3, name.length), name]);
}

function refused(answer: string): CodedError {
  return new CodedError("unavailable", `The proxy opened no connection: it answered ${answer}`);
}

/** Reads the proxy's answers; what comes behind them is put back. */
class SocketReader {
  readonly #socket: Socket;
  #buffer = Buffer.alloc(0);
  #error: Error | undefined;
  #wake = () => {};
  readonly #onData = (chunk: Buffer) => {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    this.#wake();
  };
  readonly #onEnd = () => this.#fail(new Error("the proxy closed the connection"));
  readonly #fail = (error: Error) => {
    this.#error ??= error;
    this.#wake();
  };

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", this.#fail);
    socket.on("close", this.#onEnd);
  }

  async opened(event: "connect" | "secureConnect"): Promise<void> {
    let open = false;
    this.#socket.once(event, () => {
      open = true;
      this.#wake();
    });
    while (!open) await this.#more();
    this.#socket.on("data", this.#onData);
  }

  async bytes(count: number): Promise<Buffer> {
    while (this.#buffer.length < count) await this.#more();
    return this.#take(count);
  }

  async until(end: string): Promise<string> {
    for (;;) {
      const at = this.#buffer.indexOf(end);
      if (at !== -1) return this.#take(at + end.length).toString("latin1");
      if (this.#buffer.length > MAX_ANSWER_BYTES) throw refused("more than an answer has");
      await this.#more();
    }
  }

  /** Leaves the socket to its next reader. */
  release(): void {
    this.#socket.off("data", this.#onData);
    this.#socket.off("error", this.#fail);
    this.#socket.off("close", this.#onEnd);
    this.#socket.pause();
    if (this.#buffer.length > 0) this.#socket.unshift(this.#buffer);
    // Its next reader listens before the next turn of the event loop.
    setImmediate(() => this.#socket.resume());
  }

  #take(count: number): Buffer {
    const taken = this.#buffer.subarray(0, count);
    this.#buffer = this.#buffer.subarray(count);
    return taken;
  }

  async #more(): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    await new Promise<void>((resolve) => this.#wake = resolve);
    if (this.#error !== undefined) throw this.#error;
  }
}
