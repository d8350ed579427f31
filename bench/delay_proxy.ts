/** What leads to a server over a slow link. */
export interface DelayProxy extends AsyncDisposable {
  readonly port: number;
}

/** Where a proxy leads, and what each way takes there. */
export interface DelayOptions {
  /** Of 127.0.0.1. */
  port: number;
  /** Milliseconds in each direction. */
  delayMs: number;
}

/**
 * Carries TCP connections as a link does that takes `delayMs` in each direction: bytes arrive so much later, and a connection
 * is there for its server one and a half round trips after it was asked for.
 */
export function startTcpDelay({ port, delayMs }: DelayOptions): DelayProxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.TcpConn>();
  const carry = async (client: Deno.TcpConn) => {
    const startMs = performance.now();
    client.setNoDelay(true);
    await until(startMs + 3 * delayMs);
    const server = await Deno.connect({ hostname: "127.0.0.1", port });
    server.setNoDelay(true);
    for (const connection of [client, server]) open.add(connection);
    await Promise.allSettled([pump(client, server, delayMs), pump(server, client, delayMs)]);
    for (const connection of [client, server]) close(connection);
  };
  const accepting = (async () => {
    for await (const client of listener) void carry(client).catch(() => close(client));
  })();
  return {
    port: listener.addr.port,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const connection of open) close(connection);
      await accepting;
    },
  };
}

/** Carries datagrams, which arrive `delayMs` later; the server sees a socket for each client. */
export function startUdpDelay({ port, delayMs }: DelayOptions): DelayProxy {
  const outside = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const server: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port };
  const inside = new Map<number, Deno.DatagramConn>();
  const socketFor = (client: Deno.NetAddr) => {
    const known = inside.get(client.port);
    if (known !== undefined) return known;
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    inside.set(client.port, socket);
    void (async () => {
      for await (const [packet] of socket) later(delayMs, () => outside.send(packet, client));
    })();
    return socket;
  };
  void (async () => {
    for await (const [packet, from] of outside) {
      const socket = socketFor(from as Deno.NetAddr);
      later(delayMs, () => socket.send(packet, server));
    }
  })();
  return {
    port: (outside.addr as Deno.NetAddr).port,
    [Symbol.asyncDispose]() {
      outside.close();
      for (const socket of inside.values()) socket.close();
      return Promise.resolve();
    },
  };
}

async function pump(from: Deno.TcpConn, to: Deno.TcpConn, delayMs: number): Promise<void> {
  const buffer = new Uint8Array(64 * 1024);
  let written: Promise<unknown> = Promise.resolve();
  for (;;) {
    const length = await from.read(buffer);
    const atMs = performance.now() + delayMs;
    const piece = length === null ? undefined : buffer.slice(0, length);
    written = written.then(() => until(atMs)).then(() =>
      piece === undefined ? to.closeWrite() : writeAll(to, piece)
    );
    if (piece === undefined) return void await written;
    written.catch(() => {
      // The end of the pump tells it.
    });
  }
}

async function writeAll(to: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await to.write(bytes.subarray(sent));
}

function later(delayMs: number, send: () => Promise<number>): void {
  setTimeout(() =>
    void send().catch(() => {
      // The link was taken down.
    }), delayMs);
}

function until(atMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, atMs - performance.now())));
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
