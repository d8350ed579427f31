import assert from "node:assert/strict";
import { CodedError } from "../../core/errors.ts";
import { silentLogger } from "../../core/log.ts";
import { MdnsDialer } from "../../p2p/mdns_dialer.ts";
import { openMdnsSocket } from "../../p2p/mdns_socket.ts";
import { createAnswer } from "../../p2p/mdns_records.ts";
import { openTestHost } from "./test_host.ts";

/** Parallel runs must not meet: each test has a tag of its own. */
const uniqueTag = () => `_t${crypto.randomUUID().slice(0, 8)}._udp.local`;
const onLoopback = (serviceTag: string) => ({ enabled: true, serviceTag, interfaces: ["127.0.0.1"] });
const loopback = { name: "lo", address: "127.0.0.1", cidr: "127.0.0.1/8" };

Deno.test("mDNS connects two hosts that share a tag", async () => {
  const mdns = onLoopback(uniqueTag());
  await using a = await openTestHost({ mdns });
  await using b = await openTestHost({ mdns });
  await Promise.all([a.until(() => a.connected.length === 1), b.until(() => b.connected.length === 1)]);
  assert.equal(a.connected[0]?.peerId, b.peerId);
  assert.equal(b.connected[0]?.peerId, a.peerId);
  assert.ok([...a.connected, ...b.connected].some(({ foundBy }) => foundBy === "mdns"));
  assert.ok(a.host.peers().every(({ address }) => address.startsWith("/ip4/127.0.0.1/")));
});

Deno.test("mDNS finds a peer again after it went away", async () => {
  const mdns = onLoopback(uniqueTag());
  await using a = await openTestHost({ mdns });
  const first = await openTestHost({ mdns, seed: new Uint8Array(32).fill(7) });
  await a.until(() => a.connected.length === 1);
  await first[Symbol.asyncDispose]();
  await a.until(() => a.disconnected.length === 1);
  await using second = await openTestHost({ mdns, seed: new Uint8Array(32).fill(7) });
  await a.until(() => a.connected.length === 2);
  assert.equal(a.connected[1]?.peerId, second.peerId);
});

Deno.test("mDNS announces loopback addresses over loopback alone and never meets another tag", async () => {
  const tag = uniqueTag();
  const heard = Promise.withResolvers<string[]>();
  await using _listener = await openMdnsSocket(loopback, {
    onQuery: () => {},
    onResponse: ({ answers, additionals }) => {
      if (answers?.[0]?.name === tag) heard.resolve(String(additionals?.[0]?.data).split(","));
    },
    logger: silentLogger,
  });
  await using a = await openTestHost({ mdns: onLoopback(tag), listen: ["/ip4/0.0.0.0/tcp/0"] });
  await using foreign = await openTestHost({ mdns: onLoopback(uniqueTag()) });
  const port = /tcp\/(\d+)/.exec(a.address)?.[1];
  assert.deepEqual(await heard.promise, [`dnsaddr=/ip4/127.0.0.1/tcp/${port}/p2p/${a.peerId}`]);
  await using b = await openTestHost({ mdns: onLoopback(tag) });
  await a.until(() => a.connected.length === 1);
  assert.equal(a.connected[0]?.peerId, b.peerId);
  assert.deepEqual(foreign.connected, []);
});

Deno.test("mDNS warns of an announcement that leads nowhere in the debug log and goes on", async () => {
  const tag = uniqueTag();
  await using a = await openTestHost({ mdns: onLoopback(tag) });
  await using socket = await openMdnsSocket(loopback, {
    onQuery() {},
    onResponse() {},
    logger: silentLogger,
  });
  const nobody = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
  socket.respond(createAnswer(tag, "nobody", [`/ip4/127.0.0.1/tcp/1/p2p/${nobody}`])!);
  await a.until(() => a.lines.some((line) => line.includes("Could not reach a peer found by mDNS")));
  await using b = await openTestHost({ mdns: onLoopback(tag) });
  await a.until(() => a.connected.length === 1);
  assert.equal(a.connected[0]?.peerId, b.peerId);
});

Deno.test("openMdnsSocket() rejects when the interface is not there", async () => {
  const nowhere = { name: "eth9", address: "192.0.2.77", cidr: "192.0.2.77/24" };
  await assert.rejects(openMdnsSocket(nowhere, { onQuery() {}, onResponse() {}, logger: silentLogger }));
});

Deno.test("MdnsDialer dials an unconnected peer once, until it was connected or the pause is over", async () => {
  const dialed: string[] = [];
  let connected = false;
  let nowMs = 0;
  const dialer = new MdnsDialer({
    dialer: {
      connect: (peerId) => {
        dialed.push(peerId);
        return Promise.reject(new CodedError("unavailable", "nobody"));
      },
    },
    isConnected: () => connected,
    signal: new AbortController().signal,
    logger: silentLogger,
    now: () => nowMs,
  });
  dialer.onPeer("a", []);
  dialer.onPeer("a", []);
  dialer.onPeer("b", []);
  await dialer.idle();
  assert.deepEqual(dialed, ["a", "b"]);
  nowMs += 29_999;
  dialer.onPeer("a", []);
  assert.equal(dialed.length, 2);
  nowMs += 1;
  dialer.onPeer("a", []);
  assert.equal(dialed.length, 3);
  connected = true;
  nowMs += 60_000;
  dialer.onPeer("a", []);
  connected = false;
  dialer.onPeer("a", []);
  dialer.onDisconnected("a");
  dialer.onPeer("a", []);
  await dialer.idle();
  assert.equal(dialed.length, 5);
});

Deno.test("MdnsDialer has at most 8 dials under way", async () => {
  const release = Promise.withResolvers<never>();
  let dials = 0;
  const dialer = new MdnsDialer({
    dialer: {
      connect: () => {
        dials++;
        return release.promise;
      },
    },
    isConnected: () => false,
    signal: new AbortController().signal,
    logger: silentLogger,
  });
  for (let i = 0; i < 1000; i++) dialer.onPeer(`peer ${i}`, []);
  assert.equal(dials, 8);
  release.reject(new Error("over"));
  await dialer.idle();
});
