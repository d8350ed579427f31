import type { TransferOptions } from "./stream_contender.ts";

/**
 * Makes this program take orders: prints where as `READY=`, and for each order calls `transfer`, which answers how many bytes
 * have got to where they should.
 */
export function serveTransfers(transfer: (options: TransferOptions) => Promise<number>): void {
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
    onError: (error) => new Response(String(error), { status: 500 }),
  }, async (request) => new Response(String(await transfer(await request.json()))));
  console.log(`READY=http://127.0.0.1:${server.addr.port}`);
}

/** The bytes of a transfer, a chunk at a time; all chunks are the same memory, so that making them costs nothing. */
export function* chunksOf({ totalBytes, chunkBytes }: TransferOptions): Generator<Uint8Array> {
  const chunk = new Uint8Array(chunkBytes).fill(7);
  for (let sent = 0; sent < totalBytes; sent += chunkBytes) {
    yield chunk.subarray(0, Math.min(chunkBytes, totalBytes - sent));
  }
}
