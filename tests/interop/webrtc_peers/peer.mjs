#!/usr/bin/env node
// A peer of js-libp2p that speaks WebRTC-direct alone, to test against; it does what that of Go does.
import { identify } from "@libp2p/identify";
import { ping } from "@libp2p/ping";
import { webRTCDirect } from "@libp2p/webrtc";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";

const PROTOCOL = "/test/echo/1.0";
const [verb, address] = process.argv.slice(2);
const node = await createLibp2p({
  addresses: { listen: verb === "listen" ? ["/ip4/127.0.0.1/udp/0/webrtc-direct"] : [] },
  transports: [webRTCDirect()],
  connectionGater: { denyDialMultiaddr: () => false },
  services: { identify: identify(), ping: ping() },
});

if (verb === "listen") {
  await node.handle(PROTOCOL, (stream) => {
    stream.addEventListener("message", ({ data }) => {
      if (stream.send(data)) return;
      stream.pause();
      stream.onDrain().then(() => stream.resume(), () => {});
    });
    stream.addEventListener("remoteCloseWrite", () => stream.close());
  });
  console.log(String(node.getMultiaddrs()[0]));
  process.stdin.resume();
  process.stdin.on("end", () => process.exit());
} else {
  const connection = await node.dial(multiaddr(address));
  await node.services.ping.ping(connection.remotePeer);
  const stream = await connection.newStream(PROTOCOL);
  const sent = new Uint8Array(3_000_000).map((_, i) => i * 7 % 251);
  let got = 0;
  const all = new Promise((resolve) => {
    stream.addEventListener("message", ({ data }) => {
      for (const byte of data.subarray()) if (byte !== got++ * 7 % 251) throw new Error("other bytes came back");
      if (got === sent.length) resolve();
    });
  });
  for (let i = 0; i < sent.length; i += 65_536) {
    if (!stream.send(sent.subarray(i, i + 65_536))) await stream.onDrain();
  }
  await stream.close();
  await all;
  console.log("done");
  process.exit();
}
