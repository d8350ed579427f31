/** What a proxy does to the bytes that pass through it. */
export type LinkMode =
  /** Forwards everything at once. */
  | { readonly kind: "pass" }
  /** Closes every connection and each new one at once. */
  | { readonly kind: "cut" }
  /** Takes connections and forwards nothing; what was held back flows when the mode changes. */
  | { readonly kind: "stall" }
  /** Takes connections and swallows all bytes. A connection that lost bytes stays silent, also under later modes. */
  | { readonly kind: "half_open" }
  /** Holds each piece back for `delayMs` and up to `jitterMs` more; order is kept. */
  | { readonly kind: "delay"; readonly delayMs: number; readonly jitterMs?: number }
  /** Forwards at most this many bytes a second, per direction of a connection. */
  | { readonly kind: "throttle"; readonly bytesPerSecond: number }
  /** Cuts each connection after this many more bytes, counted over both directions: frames end in the middle. */
  | { readonly kind: "truncate"; readonly afterBytes: number };

/** A faulty link in front of one TCP port of this machine. */
export interface TcpProxy extends AsyncDisposable {
  /** Where it listens on 127.0.0.1. */
  readonly port: number;
  readonly mode: LinkMode;
  /** Changes the mode of all connections, old and new. */
  setMode(mode: LinkMode): void;
  /** What has happened so far. */
  readonly counts: TcpProxyCounts;
  /** Connections that are open now. */
  readonly open: number;
  /** Local ports from which the proxy has dialed its target, for telling its connections from direct ones. */
  readonly upstreamPorts: ReadonlySet<number>;
}

export interface TcpProxyCounts {
  readonly accepted: number;
  /** Connections that the proxy closed or refused by its mode. */
  readonly cut: number;
  /** Bytes forwarded towards the target and back. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Bytes swallowed. */
  readonly swallowed: number;
}

/** The target port on 127.0.0.1 and, for the jitter, a source of numbers in [0, 1). */
export interface TcpProxyOptions {
  targetPort: number;
  random?: () => number;
}

const PIECE_BYTES = 16 * 1024;
const UPSTREAM_PORTS_KEPT = 10_000;

/** Starts a proxy on a free port. */
export function startTcpProxy({ targetPort, random = Math.random }: TcpProxyOptions): TcpProxy {
  return new ModalProxy(Deno.listen({ hostname: "127.0.0.1", port: 0 }), targetPort, random);
}

interface Link {
  readonly conns: readonly [Deno.TcpConn, Deno.TcpConn];
  /** Bytes forwarded since the mode `truncate` was set. */
  passed: number;
  silent: boolean;
}

class ModalProxy implements TcpProxy {
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #targetPort: number;
  readonly #random: () => number;
  readonly #links = new Set<Link>();
  readonly #running = new Set<Promise<void>>();
  readonly #counts = { accepted: 0, cut: 0, bytesIn: 0, bytesOut: 0, swallowed: 0 };
  readonly upstreamPorts = new Set<number>();
  #mode: LinkMode = { kind: "pass" };
  #changed = Promise.withResolvers<void>();
  #closing = new AbortController();

  constructor(listener: Deno.TcpListener, targetPort: number, random: () => number) {
    this.#listener = listener;
    this.port = listener.addr.port;
    this.#targetPort = targetPort;
    this.#random = random;
    this.#track(this.#accept());
  }

  get mode(): LinkMode {
    return this.#mode;
  }

  get counts(): TcpProxyCounts {
    return { ...this.#counts };
  }

  get open(): number {
    return this.#links.size;
  }

  setMode(mode: LinkMode): void {
    this.#mode = mode;
    for (const link of this.#links) {
      link.passed = 0;
      if (mode.kind === "cut") this.#cut(link);
    }
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#listener.close();
    this.#changed.resolve();
    for (const link of this.#links) close(link);
    await Promise.all(this.#running);
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }

  async #accept(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      try {
        const client = await this.#listener.accept();
        this.#counts.accepted++;
        this.#track(this.#join(client));
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        throw error;
      }
    }
  }

  async #join(client: Deno.TcpConn): Promise<void> {
    if (this.#mode.kind === "cut") {
      this.#counts.cut++;
      return client.close();
    }
    let target: Deno.TcpConn;
    try {
      target = await Deno.connect({ hostname: "127.0.0.1", port: this.#targetPort });
    } catch {
      return client.close(); // Nobody listens there now: the client meets a closed connection.
    }
    this.#remember(target.localAddr.port);
    client.setNoDelay(true);
    target.setNoDelay(true);
    const link: Link = { conns: [client, target], passed: 0, silent: false };
    this.#links.add(link);
    if (this.#closing.signal.aborted) close(link);
    await Promise.all([this.#pump(link, "bytesIn"), this.#pump(link, "bytesOut")]);
    this.#links.delete(link);
    close(link);
  }

  #remember(port: number): void {
    this.upstreamPorts.add(port);
    const [oldest] = this.upstreamPorts;
    if (this.upstreamPorts.size > UPSTREAM_PORTS_KEPT && oldest !== undefined) {
      this.upstreamPorts.delete(oldest);
    }
  }

  async #pump(link: Link, direction: "bytesIn" | "bytesOut"): Promise<void> {
    const [from, to] = direction === "bytesIn" ? link.conns : [link.conns[1], link.conns[0]];
    const buffer = new Uint8Array(PIECE_BYTES);
    try {
      for (;;) {
        const length = await from.read(buffer);
        if (length === null) break;
        const piece = await this.#admitted(link, buffer.subarray(0, length));
        if (piece === undefined) continue;
        await writeAll(to, piece);
        this.#counts[direction] += piece.length;
        if (piece.length < length) break;
      }
      if (this.#mode.kind !== "truncate" && !link.silent) return await to.closeWrite();
    } catch {
      // One of both ends is gone or was closed by the mode: so is the other.
    }
    if (link.silent && !this.#closing.signal.aborted) return; // the other end must not learn of it
    close(link);
  }

  /** The part of the piece that may pass once its time has come; undefined when it is swallowed. */
  async #admitted(link: Link, piece: Uint8Array): Promise<Uint8Array | undefined> {
    while (this.#mode.kind === "stall" && !this.#closing.signal.aborted) await this.#changed.promise;
    const mode = this.#mode;
    if (mode.kind === "half_open") link.silent = true;
    if (link.silent) {
      this.#counts.swallowed += piece.length;
      return undefined;
    }
    if (mode.kind === "delay") await this.#pause(mode.delayMs + (mode.jitterMs ?? 0) * this.#random());
    if (mode.kind === "throttle") await this.#pause(piece.length / mode.bytesPerSecond * 1000);
    if (mode.kind !== "truncate") return piece;
    const room = Math.max(0, mode.afterBytes - link.passed);
    link.passed += piece.length;
    if (piece.length > room) this.#counts.cut++;
    return piece.subarray(0, room);
  }

  #cut(link: Link): void {
    this.#counts.cut++;
    close(link);
  }

  /** Waits, at most until the mode changes. */
  async #pause(delayMs: number): Promise<void> {
    const elapsed = Promise.withResolvers<void>();
    const timer = setTimeout(elapsed.resolve, delayMs);
    await Promise.race([elapsed.promise, this.#changed.promise]);
    clearTimeout(timer);
  }
}

function close({ conns }: Link): void {
  for (const conn of conns) {
    try {
      conn.close();
    } catch {
      // It is closed already.
    }
  }
}

async function writeAll(to: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await to.write(bytes.subarray(sent));
}
