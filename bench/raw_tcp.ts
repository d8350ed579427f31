import type { Contender } from "./contender.ts";
import { startHelper } from "./programs.ts";

/** Bytes over TCP and back: what the machine can do at best. One connection per slot. */
export async function startRawTcp(slots: number): Promise<Contender> {
  await using stack = new AsyncDisposableStack();
  const { pid, ready } = stack.use(await startHelper("raw_tcp_server.ts"));
  const connections = await Promise.all(
    Array.from({ length: slots }, () => Deno.connect({ hostname: "127.0.0.1", port: Number(ready) })),
  );
  for (const connection of connections) stack.use(connection).setNoDelay(true);
  const owned = stack.move();
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  return {
    pids: [pid],
    async roundTrip(text, slot) {
      const connection = connections[slot];
      if (connection === undefined) throw new RangeError(`There are ${slots} slots, got ${slot}`);
      const bytes = encoder.encode(text);
      for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
      const back = new Uint8Array(bytes.length);
      for (let received = 0; received < back.length;) {
        const count = await connection.read(back.subarray(received));
        if (count === null) throw new Error("The echo closed the connection");
        received += count;
      }
      return decoder.decode(back);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
