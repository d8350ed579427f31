/** Bytes over TCP, a connection per transfer; the receiver answers with their number. See `startStreamPrograms`. */
import { chunksOf, serveTransfers } from "./serve_transfers.ts";

const [port] = Deno.args;

async function receive(connection: Deno.Conn): Promise<void> {
  using closing = connection;
  const buffer = new Uint8Array(256 * 1024);
  let received = 0;
  for (let count = await closing.read(buffer); count !== null; count = await closing.read(buffer)) {
    received += count;
  }
  await closing.write(new TextEncoder().encode(String(received)));
}

if (port === undefined) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  console.log(`READY=${listener.addr.port}`);
  for await (const connection of listener) {
    receive(connection).catch((error) => console.error("A transfer broke:", error));
  }
} else {
  serveTransfers(async (options) => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
    for (const chunk of chunksOf(options)) {
      for (let sent = 0; sent < chunk.length;) sent += await connection.write(chunk.subarray(sent));
    }
    await connection.closeWrite();
    const answer = new Uint8Array(32);
    const count = await connection.read(answer) ?? 0;
    return Number(new TextDecoder().decode(answer.subarray(0, count)));
  });
}
