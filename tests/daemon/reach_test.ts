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

Deno.test("toReachOptions() listens over WebTransport beside QUIC when it is on, or where it is told", () => {
  const on = { "enable-webtransport": "true" };
  const beside = toReachOptions(configOf({ ...on, "listen": "/ip4/127.0.0.1/udp/4001/quic-v1/noise" }));
  assert.deepEqual(beside.listen, [
    "/ip4/127.0.0.1/udp/4001/quic-v1/noise",
    "/ip4/127.0.0.1/udp/0/quic-v1/webtransport",
  ]);
  assert.equal(beside.webTransport, true);
  const told = { "listen": "/ip4/0.0.0.0/tcp/0,/ip4/127.0.0.1/udp/443/quic-v1/webtransport" };
  assert.deepEqual(toReachOptions(configOf({ ...on, ...told })).listen, told.listen.split(","));
  assert.throws(() => toReachOptions(configOf(told)), /WebTransport is off; set enable_webtransport/);
});

Deno.test("toReachOptions() listens over WebRTC-direct beside QUIC when it is on, or where it is told", () => {
  const on = { "enable-webrtc-direct": "true", "enable-webtransport": "true" };
  const beside = toReachOptions(configOf({ ...on, "listen": "/ip6/::1/udp/4001/quic-v1/noise" }));
  assert.deepEqual(beside.listen, [
    "/ip6/::1/udp/4001/quic-v1/noise",
    "/ip6/::1/udp/0/quic-v1/webtransport",
    "/ip6/::1/udp/0/webrtc-direct",
  ]);
  assert.equal(beside.webRtcDirect, true);
  const told = { "listen": "/ip4/0.0.0.0/tcp/0,/ip4/127.0.0.1/udp/443/webrtc-direct" };
  const alone = toReachOptions(configOf({ "enable-webrtc-direct": "true", ...told }));
  assert.deepEqual(alone.listen, told.listen.split(","));
  assert.throws(() => toReachOptions(configOf(told)), /WebRTC-direct is off; set enable_webrtc_direct/);
});
