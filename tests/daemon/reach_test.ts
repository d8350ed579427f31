import assert from "node:assert/strict";
import { resolveConfig } from "../../core/config.ts";
import { toReachOptions } from "../../daemon/reach.ts";

const configOf = (flags: Record<string, string>) =>
  resolveConfig({ flags, env: {}, userHome: "/nowhere", readFile: () => undefined });

Deno.test("toReachOptions() listens over TCP and QUIC, without QUIC over TCP alone", () => {
  assert.deepEqual(toReachOptions(configOf({})).listen, [
    "/ip4/0.0.0.0/tcp/0",
    "/ip4/0.0.0.0/udp/0/quic-v1/noise",
  ]);
  const { listen, quic } = toReachOptions(configOf({ "enable-quic": "false" }));
  assert.deepEqual([listen, quic], [["/ip4/0.0.0.0/tcp/0"], false]);
});

Deno.test("toReachOptions() refuses transports that this version does not have", () => {
  for (const flag of ["enable-webtransport", "enable-webrtc-direct"]) {
    assert.throws(() => toReachOptions(configOf({ [flag]: "true" })), /cannot be used: .*no such transport/);
  }
});
