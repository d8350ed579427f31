import assert from "node:assert/strict";
import { multiaddr } from "@multiformats/multiaddr";
import { Gater } from "../../p2p/gater.ts";
import { openTestHost } from "./test_host.ts";

const PEER = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const OTHER = "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq";
const at = (ip: string) => multiaddr(`/ip4/${ip}/tcp/1`);

Deno.test("Gater permits what is allowed by id or range, and never what is denied", () => {
  const gater = new Gater({ allow: [PEER, "192.0.2.0/24", "2001:db8::/32"], deny: ["192.0.2.7"] });
  assert.ok(gater.permits(PEER, at("198.51.100.1")));
  assert.ok(gater.permits(OTHER, at("192.0.2.8")));
  assert.ok(gater.permits(OTHER, multiaddr("/ip6/2001:db8::5/tcp/1")));
  assert.equal(gater.permits(OTHER, at("198.51.100.1")), false);
  assert.equal(gater.permits(PEER, at("192.0.2.7")), false);
  const relayed = multiaddr(`/ip4/192.0.2.8/tcp/1/p2p/${PEER}/p2p-circuit/p2p/${OTHER}`);
  assert.equal(gater.permits(OTHER, relayed), false, "a relay's address says nothing about a peer");
  assert.ok(new Gater().permits(OTHER, at("198.51.100.1")));
  assert.throws(() => new Gater({ deny: ["nobody"] }), /expected a peer id, an IP address or a range/);
});

Deno.test("a denied peer neither connects nor is dialed", async () => {
  await using b = await openTestHost();
  await using a = await openTestHost({ access: { deny: [b.peerId] } });
  await assert.rejects(a.host.connect(b.peerId, [b.address]), /configuration does not allow it/);
  await assert.rejects(
    async () => {
      await b.host.connect(a.peerId, [a.address]);
      await b.host.ping(a.peerId);
    },
  );
  assert.deepEqual(a.connected, []);
});
