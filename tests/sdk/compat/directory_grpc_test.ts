import assert from "node:assert/strict";
import { CodedError } from "../../../core/errors.ts";
import {
  AgntcyDirectory,
  type AgntcyDirectoryOptions,
  fromOasfRecord,
  toOasfRecord,
} from "../../../sdk/compat/mod.ts";
import { cidOf, type DirectoryServer, startDirectoryServer } from "../../support/directory_server.ts";
import { testCertificate } from "../../support/test_certificate.ts";
import { CARD, sent } from "./samples.ts";

const SUMMARIZE = "natural_language_processing/natural_language_generation/summarization";

function recordOf(name: string, skill = SUMMARIZE) {
  const facts = { authors: ["Example"], createdAt: new Date(0), skills: [{ name: skill, id: 10202 }] };
  return sent(toOasfRecord({ ...CARD, name }, facts));
}

/** A directory and its client. */
async function setUp(options: AgntcyDirectoryOptions = {}): Promise<
  AsyncDisposable & { server: DirectoryServer; directory: AgntcyDirectory }
> {
  const server = await startDirectoryServer();
  const directory = new AgntcyDirectory(`grpc://${server.address}`, options);
  return {
    server,
    directory,
    [Symbol.asyncDispose]: async () => {
      directory[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

Deno.test("publish() keeps a record and tells the network, and search(), get() and record() find it again", async () => {
  await using net = await setUp();
  const { server, directory } = net;
  const record = recordOf("Planner");
  const cid = await directory.publish(record);
  assert.equal(cid, cidOf(record));
  assert.deepEqual(server.calls.map(({ name }) => name), ["Push", "Publish"]);
  assert.deepEqual([...server.published], [cid]);
  const { card } = fromOasfRecord(record);
  assert.deepEqual(await directory.search("lann"), [{ id: cid, name: "Planner", record, card }]);
  assert.deepEqual(await directory.search("Pl?nn*"), [{ id: cid, name: "Planner", record, card }]);
  assert.deepEqual(await directory.search("x"), []);
  assert.deepEqual(await directory.record(cid), record);
  assert.deepEqual((await directory.get(cid))?.card?.skills, card.skills);
  await directory.unpublish(cid);
  assert.deepEqual([...server.published], []);
  await directory.delete(cid);
  assert.equal(await directory.get(cid), undefined);
});

Deno.test("push() keeps a record that the network is not told of", async () => {
  await using net = await setUp();
  const cid = await net.directory.push(recordOf("Quiet"));
  assert.equal(net.server.records.has(cid), true);
  assert.deepEqual([...net.server.published], []);
});

Deno.test("list() finds by what records say, no more than its limit", async () => {
  await using net = await setUp();
  const { directory, server } = net;
  for (let at = 0; at < 21; at++) await directory.push(recordOf(`agent-${at}`, at % 2 ? SUMMARIZE : "other"));
  const names = async (query: Parameters<AgntcyDirectory["list"]>[0]) =>
    (await Array.fromAsync(directory.list(query))).map(({ name }) => name);
  assert.equal((await names({})).length, 21);
  assert.deepEqual(await names({ limit: 3 }), ["agent-0", "agent-1", "agent-2"]);
  assert.equal((await names({ where: [{ field: "skill", value: SUMMARIZE }] })).length, 10);
  assert.deepEqual(
    await names({
      text: "agent-1*",
      where: [{ field: "skill", value: "other" }, { field: "author", value: "Ex*" }],
    }),
    ["agent-10", "agent-12", "agent-14", "agent-16", "agent-18"],
  );
  server.calls.length = 0;
  for await (const _ of directory.list()) break;
  assert.deepEqual(server.calls.map(({ name }) => name), ["SearchCIDs", "Pull"]);
});

Deno.test("list() looks on the network of directories, and tells who has what is not here", async () => {
  await using net = await setUp();
  const { directory, server } = net;
  const here = await directory.publish(recordOf("Here"));
  const there = recordOf("There");
  server.elsewhere.set(cidOf(there), there);
  const where = [{ field: "skill", value: SUMMARIZE }] as const;
  const [first, second] = await Array.fromAsync(directory.list({ network: true, where }));
  assert.deepEqual([first?.id, first?.card?.name, first?.peer?.id], [here, "Here", "here"]);
  assert.deepEqual([second?.id, second?.name, second?.peer, second?.card], [
    ...[cidOf(there), cidOf(there)],
    { id: "there", addresses: ["/ip4/127.0.0.1/tcp/1"] },
    undefined,
  ]);
  assert.equal(second?.cardFault?.code, "not_found");
  const both = [...where, { field: "skill", value: "other" }] as const;
  assert.deepEqual(await Array.fromAsync(directory.list({ network: true, where: both })), []);
  for (
    const query of [{ network: true }, { network: true, where, text: "x" }, {
      network: true,
      where: [{ field: "name", value: "x" }] as const,
    }]
  ) {
    await assert.rejects(Array.fromAsync(directory.list(query)), { code: "invalid_argument" });
  }
});

Deno.test("list() gives the others when a record is gone or cannot be read", async () => {
  await using net = await setUp();
  const { directory, server } = net;
  const cids: string[] = [];
  for (const name of ["a", "b", "c"]) cids.push(await directory.push(recordOf(name)));
  server.records.set("odd", { name: "odd", modules: 7 });
  server.before = (name) => {
    if (name === "SearchCIDs") return;
    server.records.delete(cids[0]!);
    server.records.delete(cids[2]!);
  };
  const agents = await Array.fromAsync(directory.list());
  assert.deepEqual(agents.map(({ id, card, cardFault }) => [id, card?.name, cardFault?.code]), [
    [cids[0], undefined, "not_found"],
    [cids[1], "b", undefined],
    [cids[2], undefined, "not_found"],
    ["odd", undefined, "invalid_argument"],
  ]);
});

Deno.test("publish() says under which CID a record is kept that the network could not be told of", async () => {
  await using net = await setUp();
  net.server.before = (name) => {
    if (name === "Publish") throw new CodedError("unavailable", "no peers");
  };
  const record = recordOf("Planner");
  await assert.rejects(net.directory.publish(record), {
    name: "AgentAnycastError",
    code: "unavailable",
    message: /no peers; the record is kept as baeare/,
    details: { cid: cidOf(record) },
  });
  assert.equal(net.server.records.size, 1);
});

Deno.test("AgntcyDirectory throws what each status of gRPC means, by every call", async () => {
  await using net = await setUp();
  const { directory, server } = net;
  const calls: Record<string, () => Promise<unknown>> = {
    list: () => Array.fromAsync(directory.list()),
    network: () =>
      Array.fromAsync(directory.list({ network: true, where: [{ field: "skill", value: "x" }] })),
    get: () => directory.get("x"),
    push: () => directory.push(recordOf("x")),
    unpublish: () => directory.unpublish("x"),
    delete: () => directory.delete("x"),
  };
  for (const code of ["unauthenticated", "permission_denied", "resource_exhausted", "internal"] as const) {
    server.before = () => {
      throw new CodedError(code, "not for you");
    };
    for (const [name, call] of Object.entries(calls)) {
      await assert.rejects(
        call(),
        { name: "AgentAnycastError", code, message: /not for you/ },
        `${name} ${code}`,
      );
    }
  }
  server.before = () => {};
  await assert.rejects(directory.push({}), { code: "invalid_argument", message: /needs a name/ });
  for (const call of [directory.get(""), directory.unpublish(""), directory.delete("")]) {
    await assert.rejects(call, { code: "invalid_argument" });
  }
});

Deno.test("AgntcyDirectory ends in time, when called off, and when nobody answers", async () => {
  await using net = await setUp({ timeoutMs: 50 });
  const { server, directory } = net;
  server.before = (_name, { signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  await assert.rejects(directory.search("x"), { code: "deadline_exceeded", message: /raise timeoutMs/ });
  using patient = new AgntcyDirectory(`grpc://${server.address}`);
  const ending = new AbortController();
  const reached = Promise.withResolvers<void>();
  server.before = (_name, { signal }) => {
    reached.resolve();
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  };
  const calledOff = patient.publish(recordOf("x"), { signal: ending.signal });
  await reached.promise;
  ending.abort();
  await assert.rejects(calledOff, { name: "AgentAnycastError", code: "cancelled" });
  await server[Symbol.asyncDispose]();
  await assert.rejects(patient.get("x"), { name: "AgentAnycastError", code: "unavailable" });
  patient[Symbol.dispose]();
  await assert.rejects(patient.get("x"), { code: "unavailable", message: /closed/ });
});

Deno.test("AgntcyDirectory reads no more than maxBytes of a record", async () => {
  await using net = await setUp({ maxBytes: 10_000 });
  const long = { ...recordOf("long"), description: "x".repeat(20_000) };
  const cid = await net.directory.push(long);
  await assert.rejects(net.directory.get(cid), { code: "resource_exhausted", message: /raise maxBytes/ });
});

Deno.test("AgntcyDirectory sends its token and headers over TLS, and none to others without", async () => {
  const { cert, key } = testCertificate("directory");
  await using server = await startDirectoryServer({ tls: { cert, key } });
  let asked = 0;
  using directory = new AgntcyDirectory(`grpcs://${server.address}`, {
    token: () => Promise.resolve(`t${++asked}`),
    headers: { "x-team": "a" },
    tls: { ca: cert },
  });
  await directory.publish(recordOf("Planner"));
  assert.deepEqual(
    server.calls.map(({ headers }) => [headers.get("authorization"), headers.get("x-team")]),
    [["Bearer t1", "a"], ["Bearer t2", "a"]],
  );
  using distrustful = new AgntcyDirectory(`grpcs://${server.address}`);
  await assert.rejects(distrustful.get("x"), { code: "unavailable" });
  using tokenless = new AgntcyDirectory(`grpcs://${server.address}`, {
    tls: { ca: cert },
    token: () => Promise.reject(new Error("logged out")),
  });
  await assert.rejects(tokenless.get("x"), { code: "unauthenticated", message: /logged out/ });
  for (const url of ["grpc://directory.example:8888", "http://directory.example"]) {
    assert.throws(() => new AgntcyDirectory(url, { token: "t" }), { name: "TypeError", message: /TLS/ });
  }
});

Deno.test("AgntcyDirectory refuses what does not go together, and to change a directory over REST", async () => {
  for (
    const [url, options] of [
      ["grpc:", {}],
      ["grpcs://x.example", { dialect: "v1" }],
      ["https://x.example", { dialect: "grpc" }],
      ["https://x.example", { tls: {} }],
    ] as const
  ) {
    assert.throws(() => new AgntcyDirectory(url, options), TypeError, url);
  }
  using directory = new AgntcyDirectory("https://x.example");
  for (
    const call of [directory.push({}), directory.publish({}), directory.unpublish("x"), directory.delete("x")]
  ) {
    await assert.rejects(call, { code: "unimplemented", message: /grpcs:/ });
  }
});
