import assert from "node:assert/strict";
import { asksFor, createAnswer, createQuery, type DnsMessage, readPeers } from "../../p2p/mdns_records.ts";
import { isOnLink } from "../../p2p/mdns_socket.ts";
import { EXISTING_NETWORK_SERVICE_TAG, OWN_SERVICE_TAG } from "../../p2p/mod.ts";

const PEER = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const at = (address: string) => `${address}/p2p/${PEER}`;
const announce = (
  strings: unknown,
  changes: { tag?: string; ttl?: number; txtName?: string } = {},
): DnsMessage => {
  const { tag = OWN_SERVICE_TAG, ttl = 120, txtName = `abc.${tag}` } = changes;
  return {
    answers: [{ name: tag, type: "PTR", ttl, data: `abc.${tag}` }],
    additionals: [{ name: txtName, type: "TXT", ttl, data: strings }],
  };
};

Deno.test("readPeers() reads what createAnswer() says", () => {
  const addresses = [at("/ip4/192.0.2.7/tcp/4001"), at("/ip6/2001:db8::7/tcp/4001")];
  const answer = createAnswer(OWN_SERVICE_TAG, "abc", addresses);
  assert.deepEqual(readPeers(answer!, OWN_SERVICE_TAG), [{ peerId: PEER, addresses }]);
  assert.deepEqual(readPeers(answer!, EXISTING_NETWORK_SERVICE_TAG), []);
});

Deno.test("asksFor() takes PTR and ANY questions of the tag in any case", () => {
  assert.ok(asksFor(createQuery(OWN_SERVICE_TAG), OWN_SERVICE_TAG));
  assert.ok(asksFor({ questions: [{ name: "_AgentAnycast._udp.local.", type: "ANY" }] }, OWN_SERVICE_TAG));
  assert.ok(!asksFor(createQuery(EXISTING_NETWORK_SERVICE_TAG), OWN_SERVICE_TAG));
  assert.ok(!asksFor({ questions: [{ name: OWN_SERVICE_TAG, type: "TXT" }] }, OWN_SERVICE_TAG));
});

Deno.test("createAnswer() stays within a string of 255 bytes and a packet of 1,200", () => {
  const many = Array.from({ length: 200 }, (_, i) => at(`/ip4/10.0.0.${i}/tcp/4001`));
  const answer = createAnswer(OWN_SERVICE_TAG, "a".repeat(63), [
    at(`/dns4/${"x".repeat(250)}/tcp/1`),
    ...many,
  ])!;
  const strings = answer.additionals![0]!.data as string[];
  assert.ok(strings.length > 5);
  assert.ok(strings.every((text) => text.length <= 255));
  assert.ok(JSON.stringify(answer).length < 1_300);
  assert.equal(createAnswer(OWN_SERVICE_TAG, "abc", []), undefined);
});

Deno.test("readPeers() accepts TXT among the answers, as bytes, and in several records", () => {
  const bytes = new TextEncoder().encode(`dnsaddr=${at("/ip4/192.0.2.7/tcp/1")}`);
  const message: DnsMessage = {
    answers: [
      { name: OWN_SERVICE_TAG, type: "PTR", ttl: 1, data: `ABC.${OWN_SERVICE_TAG}.` },
      { name: `abc.${OWN_SERVICE_TAG}`, type: "TXT", ttl: 1, data: bytes },
      { name: `abc.${OWN_SERVICE_TAG}`, type: "TXT", ttl: 1, data: `dnsaddr=${at("/ip4/192.0.2.7/tcp/2")}` },
    ],
  };
  assert.deepEqual(readPeers(message, OWN_SERVICE_TAG), [
    { peerId: PEER, addresses: [at("/ip4/192.0.2.7/tcp/1"), at("/ip4/192.0.2.7/tcp/2")] },
  ]);
});

Deno.test("readPeers() leaves out what is foreign, malformed or a goodbye", () => {
  const good = `dnsaddr=${at("/ip4/192.0.2.7/tcp/1")}`;
  assert.equal(readPeers(announce([good]), OWN_SERVICE_TAG).length, 1);
  for (
    const bad of [
      announce([good], { tag: EXISTING_NETWORK_SERVICE_TAG }),
      announce([good], { ttl: 0 }),
      announce([good], { txtName: `other.${OWN_SERVICE_TAG}` }),
      announce([at("/ip4/192.0.2.7/tcp/1")]),
      announce(["dnsaddr=/ip4/192.0.2.7/tcp/1"]),
      announce([`dnsaddr=${at("/dns4/example.org/tcp/1")}`]),
      announce([`dnsaddr=${at("/ip4/192.0.2.7/udp/1/quic-v1")}`]),
      announce([`dnsaddr=${at("/ip4/192.0.2.7/tcp/1")}/p2p-circuit/p2p/${PEER}`]),
      announce([
        `dnsaddr=/ip4/999.0.2.7/tcp/1/p2p/${PEER}`,
        "dnsaddr=/ip4/192.0.2.7/tcp/1/p2p/nobody",
        "dnsaddr=",
      ]),
      announce([7, null, undefined]),
      announce(undefined),
      {},
    ]
  ) assert.deepEqual(readPeers(bad, OWN_SERVICE_TAG), [], JSON.stringify(bad));
});

Deno.test("readPeers() keeps at most 16 addresses of a peer", () => {
  const strings = Array.from({ length: 60 }, (_, i) => `dnsaddr=${at(`/ip4/192.0.2.7/tcp/${i + 1}`)}`);
  assert.equal(readPeers(announce(strings), OWN_SERVICE_TAG)[0]?.addresses.length, 16);
});

Deno.test("isOnLink() goes by the netmask", () => {
  const own = { name: "eth0", address: "192.168.5.7", cidr: "192.168.5.7/23" };
  assert.ok(isOnLink("192.168.4.200", own));
  assert.ok(!isOnLink("192.168.6.1", own));
  assert.ok(!isOnLink("127.0.0.1", own));
  assert.ok(!isOnLink("2001:db8::1", own));
  assert.ok(!isOnLink("", own));
  assert.ok(isOnLink("127.0.0.2", { name: "lo", address: "127.0.0.1", cidr: "127.0.0.1/8" }));
});
