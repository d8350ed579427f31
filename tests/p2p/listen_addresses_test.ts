import assert from "node:assert/strict";
import { toListenAddresses } from "../../p2p/mod.ts";

const ALL = { quic: true, webTransport: true, webRtcDirect: true };
const QUIC = "/ip4/0.0.0.0/udp/4001/quic-v1/noise";

Deno.test("toListenAddresses() has transports for others listen beside QUIC, on free ports or the next ones", () => {
  const addresses = ["/ip4/0.0.0.0/tcp/4001", QUIC];
  assert.deepEqual(toListenAddresses({ ...ALL, addresses }), [
    ...addresses,
    "/ip4/0.0.0.0/udp/0/quic-v1/webtransport",
    "/ip4/0.0.0.0/udp/0/webrtc-direct",
  ]);
  assert.deepEqual(toListenAddresses({ ...ALL, addresses, nextPorts: true }), [
    ...addresses,
    "/ip4/0.0.0.0/udp/4002/quic-v1/webtransport",
    "/ip4/0.0.0.0/udp/4003/webrtc-direct",
  ]);
  const free = toListenAddresses({
    ...ALL,
    addresses: ["/ip6/::1/udp/0/quic-v1/noise"],
    nextPorts: true,
    webTransport: false,
  });
  assert.equal(free.at(-1), "/ip6/::1/udp/0/webrtc-direct");
});

Deno.test("toListenAddresses() listens where it is told, and refuses what is off", () => {
  const addresses = [
    QUIC,
    "/ip4/127.0.0.1/udp/443/webrtc-direct",
    "/ip4/127.0.0.1/udp/443/quic-v1/webtransport",
  ];
  const only = toListenAddresses({ ...ALL, addresses, quic: false });
  assert.deepEqual(only, [addresses[2], addresses[1]]);
  assert.throws(
    () => toListenAddresses({ ...ALL, addresses, webRtcDirect: false }),
    /Could not listen on .*webrtc-direct: WebRTC-direct is off; set enable_webrtc_direct/,
  );
  assert.throws(() => toListenAddresses({ ...ALL, addresses, webTransport: false }), /WebTransport is off/);
});
