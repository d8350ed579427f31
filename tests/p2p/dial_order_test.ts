import assert from "node:assert/strict";
import { toDialOrder } from "../../p2p/dial_order.ts";

Deno.test("toDialOrder() puts plain TCP of public addresses first and loopback last", () => {
  const order = [
    "/dns4/relay.example.com/tcp/4001",
    "/ip4/8.8.8.8/tcp/4001",
    "/ip6/2600::1/tcp/4001",
    "/ip4/192.168.1.2/tcp/4001",
    "/ip4/8.8.8.8/tcp/4002/ws",
    "/ip4/8.8.8.8/udp/4001/quic-v1/noise",
    "/ip4/127.0.0.1/tcp/4001",
    "/ip6/::1/udp/4001/quic-v1",
  ];
  const [name = "", ...others] = order;
  assert.deepEqual(toDialOrder([name, ...others.toReversed()]), order);
});
