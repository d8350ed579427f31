/** A server that answers each connection by the bytes it is told to, for what a proper HTTP server does not do. */
export interface RawHttpServer extends AsyncDisposable {
  readonly port: number;
  readonly origin: string;
  /** Connections taken so far. */
  readonly accepted: number;
}

/**
 * Takes connections on 127.0.0.1, reads what comes first and calls `answer` with it and the connection, which it closes
 * afterwards.
 */
export function startRawHttpServer(
  answer: (head: string, connection: Deno.TcpConn) => Promise<void>,
): RawHttpServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const running = new Set<Promise<void>>();
  const open = new Set<Deno.TcpConn>();
  let accepted = 0;
  const serve = async (connection: Deno.TcpConn) => {
    open.add(connection);
    try {
      const buffer = new Uint8Array(65_536);
      const count = await connection.read(buffer);
      await answer(new TextDecoder().decode(buffer.subarray(0, count ?? 0)), connection);
    } catch (error) {
      // The client may have hung up, and so may this server at its end.
      const expected = [
        Deno.errors.BrokenPipe,
        Deno.errors.ConnectionReset,
        Deno.errors.BadResource,
        Deno.errors.Interrupted,
        Deno.errors.UnexpectedEof,
      ];
      if (!expected.some((kind) => error instanceof kind)) throw error;
    } finally {
      if (open.delete(connection)) connection.close();
    }
  };
  const accepting = (async () => {
    for await (const connection of listener) {
      accepted++;
      const one: Promise<void> = serve(connection).finally(() => running.delete(one));
      running.add(one);
    }
  })();
  const { port } = listener.addr as Deno.NetAddr;
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    get accepted() {
      return accepted;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      for (const connection of open) {
        open.delete(connection);
        connection.close();
      }
      await Promise.all(running);
    },
  };
}
