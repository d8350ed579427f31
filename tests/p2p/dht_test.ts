import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { keyOf } from "../../p2p/dht.ts";
import { DhtDatastore } from "../../p2p/dht_datastore.ts";
import type { DhtOptions } from "../../p2p/mod.ts";
import { untilHolds } from "../support/patience.ts";
import { openTestHost, type TestHost } from "./test_host.ts";

/** Records are texts that begin with `ok`; the longest is the best. */
const RECORDS: Omit<DhtOptions, "mode"> = {
  namespace: "agentanycast",
  validate: (_key, value) => {
    if (!new TextDecoder().decode(value).startsWith("ok")) throw new Error("no record");
  },
  select: (_key, values) =>
    values.reduce((best, value, i) => value.length > (values[best]?.length ?? 0) ? i : best, 0),
};
const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (value: Uint8Array | undefined) => value && new TextDecoder().decode(value);

/** `count` hosts of one DHT, each connected to the one before. */
async function openTable(count: number, changes: Partial<DhtOptions> = {}) {
  await using stack = new AsyncDisposableStack();
  const hosts: TestHost[] = [];
  for (let i = 0; i < count; i++) {
    const host = stack.use(await openTestHost({ dht: { ...RECORDS, mode: "server", ...changes } }));
    const before = hosts.at(-1);
    if (before !== undefined) await host.host.connect(before.peerId, [before.address]);
    hosts.push(host);
  }
  const owned = stack.move();
  for (const { host } of hosts) await untilHolds(() => (host.dht?.size ?? 0) > 0);
  return { hosts, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

Deno.test("keyOf() derives keys as the existing network does", async () => {
  const vectors = [
    [
      "translate",
      "bafkreiahz7ih6adg6duuu3tdlxh3el26m466ky3n5cpzx2eab24ie5qvda",
      "122007cfd07f0066f0e94a6e635dcfb22f5e673de5636de89f9be8800eb882761518",
    ],
    [
      "echo",
      "bafkreicozq6bc3cq3mmhgecqyaafwwc3f2dgo5v4kzuanqvb4mf7x64i74",
      "12204ecc3c116c50db18731050c0005b585b2e866776bc566806c2a1e30bfbfb88ff",
    ],
  ] as const;
  for (const [skill, cid, multihash] of vectors) {
    const key = await keyOf(`agentanycast/skill/${skill}`);
    assert.equal(key.toString(), cid);
    assert.equal(Buffer.from(key.multihash.bytes).toString("hex"), multihash);
  }
});

Deno.test("findProviders() finds who provides a name, also behind others", async () => {
  await using table = await openTable(4);
  const [first, , , last] = table.hosts;
  assert.ok((await last!.host.dht!.provide("skill/x")) >= 1);
  const found = await Array.fromAsync(first!.host.dht!.findProviders("skill/x"));
  assert.deepEqual(found.map(({ peerId }) => peerId), [last!.peerId]);
  assert.ok(found[0]?.addresses.some((address) => address.startsWith("/ip4/127.0.0.1/tcp/")));
  assert.deepEqual(await Array.fromAsync(first!.host.dht!.findProviders("skill/y")), []);
  await last!.host.dht!.stopProviding("skill/x");
});

Deno.test("put() and get() take valid records alone, and the best one wins", async () => {
  await using table = await openTable(3);
  const [a, b, c] = table.hosts.map(({ host }) => host.dht!);
  assert.ok(await a!.put("/agentanycast/x/1", bytes("ok")) >= 1);
  assert.equal(textOf(await c!.get("/agentanycast/x/1")), "ok");
  assert.equal(await a!.put("/agentanycast/x/2", bytes("forged")), 0, "others do not take it");
  assert.equal(textOf(await b!.get("/agentanycast/x/2")), undefined);
  await b!.put("/agentanycast/x/1", bytes("ok, better"));
  assert.equal(textOf(await c!.get("/agentanycast/x/1")), "ok, better");
  assert.equal(await b!.get("/agentanycast/x/3"), undefined);
});

Deno.test("a client asks and is not asked", async () => {
  await using server = await openTestHost({ dht: { ...RECORDS, mode: "server" } });
  await using client = await openTestHost({ dht: { ...RECORDS, mode: "client" } });
  await client.host.connect(server.peerId, [server.address]);
  await untilHolds(() => client.host.dht?.size !== 0);
  await client.host.dht!.provide("skill/x");
  const found = await Array.fromAsync(server.host.dht!.findProviders("skill/x"));
  assert.deepEqual(found.map(({ peerId }) => peerId), [client.peerId]);
  assert.deepEqual([client.host.dht?.mode, server.host.dht?.mode, server.host.dht?.size], [
    "client",
    "server",
    0,
  ]);
});

Deno.test("calls end without an error when nobody can be asked or they are given up", async () => {
  await using alone = await openTestHost({ dht: { ...RECORDS, mode: "server" } });
  const dht = alone.host.dht!;
  assert.equal(await dht.provide("skill/x"), 0);
  assert.equal(await dht.put("/agentanycast/x/1", bytes("ok")), 0);
  assert.equal(textOf(await dht.get("/agentanycast/x/1")), "ok");
  assert.equal(await dht.get("/agentanycast/x/2", { signal: AbortSignal.abort() }), undefined);
  assert.equal((await openAndClose()).dht, undefined);
});

async function openAndClose() {
  await using plain = await openTestHost();
  return { dht: plain.host.dht };
}

Deno.test("put() keeps a bounded number of entries and bytes, the newest", async () => {
  const store = new DhtDatastore({ maxEntries: 3, maxBytes: 10 });
  for (const name of ["/a/1", "/a/2", "/a/3", "/b/4"]) store.put(name, bytes("xy"));
  assert.deepEqual((await Array.fromAsync(store.queryKeys({}))).map(String), ["/a/2", "/a/3", "/b/4"]);
  assert.deepEqual((await Array.fromAsync(store.query({ prefix: "/a" }))).length, 2);
  store.put("/a/3", bytes("123456789"));
  assert.deepEqual((await Array.fromAsync(store.queryKeys({}))).map(String), ["/a/3"]);
  assert.throws(() => store.get("/a/2"), { name: "NotFoundError" });
  assert.throws(() => store.put("/c", new Uint8Array(100_000)), RangeError);
  store.delete("/a/3");
  assert.deepEqual([store.size, store.has("/a/3")], [0, false]);
});
