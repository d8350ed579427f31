/**
 * Bytes over a bare libp2p stream per transfer, on one connection with the transport, encryption and multiplexing of the
 * daemon; the receiver answers with their number. See `startStreamPrograms`.
 */
import type { Stream } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { chunksOf, serveTransfers } from "./serve_transfers.ts";

const PROTOCOL = "/bench/stream/1.0";
/** As the daemon's host has it. */
const MAX_STREAM_WINDOW_BYTES = 1024 * 1024;

const [address] = Deno.args;
const node = await createLibp2p({
  addresses: { listen: address === undefined ? ["/ip4/127.0.0.1/tcp/0"] : [] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: MAX_STREAM_WINDOW_BYTES } })],
});

/** Counts what comes until the peer's end. */
async function receive(stream: Stream): Promise<void> {
  let received = 0;
  for await (const chunk of stream) received += chunk.byteLength;
  stream.send(new TextEncoder().encode(String(received)));
  await stream.close();
}

if (address === undefined) {
  await node.handle(PROTOCOL, (stream) => {
    receive(stream).catch((error) => console.error("A transfer broke:", error));
  });
  console.log(`READY=${node.getMultiaddrs()[0]}`);
} else {
  const connection = await node.dial(multiaddr(address));
  serveTransfers(async (options) => {
    const stream = await connection.newStream(PROTOCOL);
    for (const chunk of chunksOf(options)) if (!stream.send(chunk)) await stream.onDrain();
    await stream.close();
    let answer = "";
    for await (const chunk of stream) answer += new TextDecoder().decode(chunk.subarray());
    return Number(answer);
  });
}
