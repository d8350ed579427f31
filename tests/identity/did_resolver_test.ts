import { deepEqual, equal, rejects } from "node:assert/strict";
import type { JsonObject } from "../../core/json.ts";
import {
  addProof,
  createDidDocument,
  createDidResolver,
  createIdentity,
  type DidResolverOptions,
  thumbprintOf,
} from "../../identity/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

const me = createIdentity(new Uint8Array(32).fill(1));
const other = createIdentity(new Uint8Array(32).fill(2));

/** A network of documents and records, and what was asked of it. */
function startNetwork(options: DidResolverOptions = {}) {
  const documents = new Map<string, JsonObject | string>();
  const records = new Map<string, string[]>();
  const asked: string[] = [];
  const clock = new FakeClock();
  const resolver = createDidResolver({
    fetchBytes: (url) => {
      asked.push(url);
      const document = documents.get(url);
      if (document === undefined) return Promise.reject(new Error("404"));
      const text = typeof document === "string" ? document : JSON.stringify(document);
      return Promise.resolve(new TextEncoder().encode(text));
    },
    resolveTxt: (name) => {
      asked.push(name);
      return Promise.resolve(records.get(name) ?? []);
    },
  }, { clock, ...options });
  return { documents, records, asked, clock, resolve: resolver.resolve };
}

Deno.test("resolve() answers the keys of a did:web, from memory for five minutes", async () => {
  const net = startNetwork();
  const did = "did:web:example.com:agent";
  net.documents.set(
    "https://example.com/agent/did.json",
    createDidDocument(did, { publicKeys: [me.publicKey] }),
  );
  deepEqual((await net.resolve(did)).keys, [
    { id: `${did}#key-1`, publicKey: me.publicKey, purposes: ["assertionMethod", "authentication"] },
  ]);
  net.clock.advance(299_000);
  await Promise.all([net.resolve(did), net.resolve(did)]);
  equal(net.asked.length, 1);
  net.clock.advance(2_000);
  await Promise.all([net.resolve(did), net.resolve(did)]);
  equal(net.asked.length, 2);
});

Deno.test("resolve() refuses a document of another DID, without keys or that is none", async () => {
  const net = startNetwork();
  const url = "https://example.com/.well-known/did.json";
  const did = "did:web:example.com";
  const bad: [JsonObject | string, string][] = [
    [createDidDocument("did:web:other.example", { publicKeys: [me.publicKey] }), "failed_precondition"],
    [{ id: did }, "not_found"],
    ["[]", "failed_precondition"],
    ["{", "failed_precondition"],
  ];
  for (const [document, code] of bad) {
    net.documents.set(url, document);
    await rejects(net.resolve(did), { code });
    net.clock.advance(31_000);
  }
});

Deno.test("resolve() keeps a failure for half a minute", async () => {
  const net = startNetwork();
  const did = "did:web:example.com";
  await rejects(net.resolve(did), { code: "unavailable", message: /did:web:example.com: 404/ });
  net.documents.set(
    "https://example.com/.well-known/did.json",
    createDidDocument(did, { publicKeys: [me.publicKey] }),
  );
  await rejects(net.resolve(did), { code: "unavailable" });
  net.clock.advance(30_000);
  equal((await net.resolve(did)).keys.length, 1);
});

Deno.test("resolve() answers all keys of a did:dns, and not_found without one", async () => {
  const net = startNetwork();
  net.records.set("_did.example.com", [`did=${me.didKey}`, other.didKey]);
  deepEqual((await net.resolve("did:dns:example.com")).keys.map(({ publicKey }) => publicKey), [
    me.publicKey,
    other.publicKey,
  ]);
  await rejects(net.resolve("did:dns:example.org"), { code: "not_found" });
});

Deno.test("resolve() takes a did:wba with a thumbprint only with the signature of that key", async () => {
  const net = startNetwork();
  const last = `e1_${thumbprintOf(me.publicKey)}`;
  const did = `did:wba:example.com:user:alice:${last}`;
  const url = `https://example.com/user/alice/${last}/did.json`;
  const mine = createDidDocument(did, { publicKeys: [me.publicKey] });
  const both = createDidDocument(did, { publicKeys: [other.publicKey, me.publicKey] });
  const sign = (document: JsonObject, identity = me, key = 1) =>
    addProof(document, { identity, verificationMethod: `${did}#key-${key}`, createdMs: net.clock.now() });
  const swapped = createDidDocument(did, { publicKeys: [other.publicKey] });
  for (
    const bad of [mine, sign(mine, other), sign(swapped, other), sign(both, other, 1), {
      ...sign(mine),
      service: [],
    }]
  ) {
    net.documents.set(url, bad);
    await rejects(net.resolve(did), { code: "failed_precondition", message: /not signed by the key/ });
    net.clock.advance(31_000);
  }
  net.documents.set(url, sign(both, me, 2));
  equal((await net.resolve(did)).keys.length, 2);
});

Deno.test("resolve() forgets the DID that was asked for longest ago when it has too many", async () => {
  const net = startNetwork({ maxKept: 2 });
  for (const host of ["a", "b", "c"]) net.records.set(`_did.${host}.example`, [me.didKey]);
  for (const host of ["a", "b", "a", "c", "a", "b"]) await net.resolve(`did:dns:${host}.example`);
  deepEqual(net.asked.map((name) => name[5]), ["a", "b", "c", "b"]);
});

Deno.test("resolve() asks for no more than 64 DIDs at once, and gives up when its time is over", async () => {
  const hanging = createDidResolver({
    fetchBytes: (_url, { signal }) =>
      new Promise((_resolve, reject) => signal!.addEventListener("abort", () => reject(signal!.reason))),
    resolveTxt: () => Promise.resolve([]),
  }, { timeoutMs: 1 });
  const asked = Array.from({ length: 65 }, (_, i) => hanging.resolve(`did:web:h${i}.example`));
  const codes = (await Promise.allSettled(asked)).map((one) =>
    one.status === "rejected" ? one.reason.code : ""
  );
  deepEqual([codes[0], codes[63], codes[64]], [
    "deadline_exceeded",
    "deadline_exceeded",
    "resource_exhausted",
  ]);
});

Deno.test("resolve() never asks the network about a did:key", async () => {
  const net = startNetwork();
  deepEqual((await net.resolve(me.didKey)).keys[0]?.publicKey, me.publicKey);
  await rejects(net.resolve("did:key:z6Mk"), { code: "invalid_argument" });
  deepEqual(net.asked, []);
});
