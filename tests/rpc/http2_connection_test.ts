import assert from "node:assert/strict";
import http2 from "node:http2";
import { parseRpcAddress } from "../../core/rpc_address.ts";
import { Http2Connection } from "../../rpc/http2_connection.ts";

Deno.test("Http2Connection.request() is not made when its signal fires just before", async () => {
  const server = http2.createServer((_request, response) => response.end());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const connection = new Http2Connection(parseRpcAddress(`tcp://127.0.0.1:${port}`));
  try {
    const headers = { ":path": "/" };
    const first = await connection.request(headers, new AbortController().signal);
    const closed = new Promise((resolve) => first.once("close", resolve));
    first.resume();
    await closed;
    const abort = new AbortController();
    const reason = new Error("enough");
    const requested = connection.request(headers, abort.signal);
    // Behind what tells that the connection stands, before whoever waits for that goes on.
    queueMicrotask(() => abort.abort(reason));
    await assert.rejects(requested, reason);
  } finally {
    connection.close();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
});
