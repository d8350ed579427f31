import assert from "node:assert/strict";
import { multiaddr } from "@multiformats/multiaddr";
import { toBootstrapTargets } from "../../p2p/bootstrap.ts";
import { parsePeerTarget } from "../../p2p/mod.ts";
import { isDialable } from "../../p2p/address_kind.ts";
import { toPeerAddress } from "../../p2p/peer_address.ts";

const PEER = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const RELAY = "12D3KooWGRUg6Jz3qGCoYFGkvHVnXRSGkWJTGVYJkgWbkCT1Ktuz";

Deno.test("parsePeerTarget() reads a bare id and a multiaddr that ends in one", () => {
  assert.deepEqual(parsePeerTarget(` ${PEER}\n`), { peerId: PEER, addresses: [] });
  for (
    const start of ["/ip4/192.0.2.7/tcp/4001", "/dns4/example.org/tcp/4001", "/ip6/2001:db8::1/tcp/4001"]
  ) {
    const address = `${start}/p2p/${PEER}`;
    assert.deepEqual(parsePeerTarget(address), { peerId: PEER, addresses: [address] });
  }
});

Deno.test("parsePeerTarget() throws SyntaxError saying what it expects when the text is something else", () => {
  for (
    const text of ["", "alice", "127.0.0.1:4001", "/", "/ip4/999.1.1.1/tcp/1", "/nothing/1", `/p2p/${PEER}x`]
  ) {
    assert.throws(() => parsePeerTarget(text), { name: "SyntaxError", message: /12D3KooW/ }, text);
  }
  assert.throws(() => parsePeerTarget("/ip4/192.0.2.7/tcp/4001"), {
    name: "SyntaxError",
    message: /\/p2p\//,
  });
});

Deno.test("toPeerAddress() completes an address and refuses one of another peer", () => {
  const whole = `/ip4/192.0.2.7/tcp/4001/p2p/${PEER}`;
  assert.equal(toPeerAddress("/ip4/192.0.2.7/tcp/4001", PEER).toString(), whole);
  assert.equal(toPeerAddress(whole, PEER).toString(), whole);
  assert.throws(() => toPeerAddress(whole, RELAY), { code: "invalid_argument" });
  assert.throws(() => toPeerAddress("nonsense", PEER), { code: "invalid_argument" });
});

Deno.test("toBootstrapTargets() takes the addresses of one peer together", () => {
  const of = (port: number, peer: string) => `/ip4/192.0.2.7/tcp/${port}/p2p/${peer}`;
  assert.deepEqual(toBootstrapTargets([of(1, PEER), of(2, RELAY), of(3, PEER)]), [
    { peerId: PEER, addresses: [of(1, PEER), of(3, PEER)] },
    { peerId: RELAY, addresses: [of(2, RELAY)] },
  ]);
});

Deno.test("isDialable() takes hosts with a port that a transport knows, and loopback only over loopback", () => {
  const id = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
  const told = (address: string, from: string) => isDialable(multiaddr(address), { from: multiaddr(from) });
  const lan = "/ip4/192.0.2.7/tcp/4001";
  const local = "/ip4/127.0.0.1/tcp/5";
  const relayed = `${lan}/p2p/${id}/p2p-circuit`;
  const more = ["/ip6/2001:db8::1/tcp/1", "/dns4/a.example/tcp/443/tls/ws", relayed];
  for (const good of [lan, `${lan}/p2p/${id}`, "/dns4/a.example/tcp/1", ...more]) {
    assert.ok(told(good, lan), good);
  }
  const bad = [
    "/ip4/0.0.0.0/tcp/1",
    "/ip6/::/tcp/1",
    "/ip4/192.0.2.7/tcp/0",
    `${lan}/p2p-circuit`,
    "/ip4/192.0.2.7/udp/1/quic-v1",
  ];
  for (const address of [...bad, local, "/ip6/::1/tcp/5", `/p2p/${id}`]) {
    assert.equal(told(address, lan), false, address);
  }
  assert.ok(told(local, local));
  assert.ok(told("/ip6/::1/tcp/5", local));
});
