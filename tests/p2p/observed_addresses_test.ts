import assert from "node:assert/strict";
import type { Connection, IdentifyResult, Libp2p } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import { ObservedAddresses } from "../../p2p/observed_addresses.ts";

const OBSERVERS = [
  "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
  "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq",
];
const OWN = Deno.networkInterfaces().find(({ family, address }) =>
  family === "IPv4" && !address.startsWith("127.")
)
  ?.address;

/** Observations as libp2p would tell them. */
function rig() {
  const listeners = new Map<string, (event: { detail: unknown }) => void>();
  let nowMs = 0;
  const libp2p = {
    addEventListener: (name: string, listener: (event: { detail: unknown }) => void) =>
      void listeners.set(name, listener),
  } as unknown as Libp2p;
  const observed = new ObservedAddresses(libp2p, () => nowMs);
  return {
    observed,
    pass: (ms: number) => void (nowMs += ms),
    seen(observer: number, address: string, protocols: string[] = []) {
      const peerId = peerIdFromString(OBSERVERS[observer]!);
      const connection = {
        direction: "outbound",
        remoteAddr: multiaddr("/ip4/198.51.100.1/udp/4001/quic-v1/noise"),
      } as Connection;
      const detail = { peerId, connection, observedAddr: multiaddr(address), protocols } as unknown;
      listeners.get("peer:identify")!({ detail: detail as IdentifyResult });
    },
    dialed(from: string) {
      const detail = { direction: "inbound", remoteAddr: multiaddr(from) };
      listeners.get("connection:open")!({ detail });
    },
  };
}

const quic = (host: string, port: number) => `/ip4/${host}/udp/${port}/quic-v1/noise`;

Deno.test("ObservedAddresses tells a NAT with one mapping from a symmetric one", () => {
  const { observed, seen } = rig();
  assert.deepEqual([observed.verdict(), observed.mapping()], ["unknown", "unknown"]);
  seen(0, quic("198.51.100.7", 1000));
  assert.deepEqual([observed.verdict(), observed.mapping()], ["private", "unknown"]);
  seen(1, quic("198.51.100.7", 1000));
  assert.equal(observed.mapping(), "same");
  assert.deepEqual(observed.all().map(String), [quic("198.51.100.7", 1000)]);
  seen(1, quic("198.51.100.7", 1001));
  assert.equal(observed.mapping(), "differs");
});

Deno.test("ObservedAddresses.obstacle() names a symmetric NAT, and that nobody sees this node although it has a relay", () => {
  const { observed, seen } = rig();
  assert.equal(observed.obstacle({ hasRelay: false }), undefined);
  assert.match(observed.obstacle({ hasRelay: true }) ?? "", /no relay over QUIC/);
  seen(0, quic("198.51.100.7", 1000));
  seen(1, quic("198.51.100.7", 1000));
  assert.equal(observed.obstacle({ hasRelay: true }), undefined);
  seen(1, quic("198.51.100.7", 1001));
  assert.match(observed.obstacle({ hasRelay: true }) ?? "", /symmetric/);
});

Deno.test("ObservedAddresses.verdict() is public once somebody from outside got through over TCP", () => {
  const { observed, seen, dialed } = rig();
  seen(0, quic("198.51.100.7", 1000));
  dialed("/ip4/127.0.0.1/tcp/9");
  dialed(quic("198.51.100.9", 9));
  assert.equal(observed.verdict(), "private");
  dialed("/ip4/198.51.100.9/tcp/9");
  assert.equal(observed.verdict(), "public");
});

Deno.test({
  name: "ObservedAddresses.verdict() is private when those who were asked to dial back did not get through",
  ignore: OWN === undefined,
  fn() {
    const { observed, seen, pass } = rig();
    seen(0, quic(OWN!, 1000), ["/libp2p/autonat/2/dial-request"]);
    assert.equal(observed.verdict(), "unknown");
    pass(20_000);
    assert.equal(observed.verdict(), "private");
  },
});
