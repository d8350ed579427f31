import assert from "node:assert/strict";
import { CodedError } from "../../../core/errors.ts";
import { silentLogger } from "../../../core/log.ts";
import { Directory } from "../../../daemon/anycast/directory.ts";
import { mergeAgents } from "../../../daemon/anycast/merge_agents.ts";
import type { DiscoveredAgent, DiscoverQuery, DiscoveryProvider } from "../../../daemon/anycast/model.ts";
import { fits, resolveQuery, toLabels } from "../../../daemon/anycast/query.ts";
import { FakeClock } from "../../support/fake_clock.ts";

function agentOf(peerId: string, changes: Partial<DiscoveredAgent> = {}): DiscoveredAgent {
  return {
    peerId,
    name: `Agent ${peerId}`,
    description: "Does things",
    skills: [{ id: "translate", description: "Into French", tags: { lang: "fr", fast: "" } }],
    verified: true,
    lastSeenMs: 1,
    via: ["peer"],
    addresses: [],
    ...changes,
  };
}

/** A source that answers what `answer` says, and counts how often it is asked. */
function sourceOf(name: string, answer: () => Promise<DiscoveredAgent[]>, isLocal = false) {
  const source = {
    name,
    isLocal,
    asked: 0,
    find: () => {
      source.asked++;
      return answer();
    },
  };
  return source satisfies DiscoveryProvider;
}

function directoryOf(providers: readonly DiscoveryProvider[]) {
  const clock = new FakeClock();
  const directory = new Directory({ providers, peerId: "self", logger: silentLogger, clock }, {
    ttlMs: 30_000,
    emptyTtlMs: 2_000,
  });
  const ids = async (query: DiscoverQuery, call = {}) =>
    (await directory.discover(query, call)).agents.map(({ peerId }) => peerId);
  return { clock, directory, ids };
}

/** Lets everything go on that does not wait for time. */
async function turn(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("fits() wants all that is asked for of one and the same skill", () => {
  const agent = agentOf("a", {
    skills: [
      { id: "translate", description: "Into French", tags: { lang: "fr" } },
      { id: "sing", description: "Songs", tags: { lang: "en" } },
    ],
  });
  const cases: [DiscoverQuery, boolean][] = [
    [{}, true],
    [{ skill: "translate" }, true],
    [{ skill: "Translate" }, false],
    [{ skill: "translate", tags: { lang: "fr" } }, true],
    [{ skill: "translate", tags: { lang: "en" } }, false],
    [{ tags: { lang: "en" } }, true],
    [{ tags: { lang: "" } }, false],
    [{ prefix: "trans" }, true],
    [{ prefix: "trans", tags: { lang: "en" } }, false],
    [{ text: "agent FRENCH" }, true],
    [{ text: "french piano" }, false],
  ];
  for (const [query, expected] of cases) {
    assert.equal(fits(agent, resolveQuery(query)), expected, JSON.stringify(query));
  }
});

Deno.test("resolveQuery() bounds what is asked for", () => {
  assert.equal(resolveQuery({}).limit, 100);
  assert.equal(resolveQuery({ limit: 5_000 }).limit, 1_000);
  const tags = Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`t${i}`, ""]));
  for (const query of [{ limit: -1 }, { limit: 1.5 }, { skill: "s".repeat(300) }, { tags }]) {
    assert.throws(() => resolveQuery(query), { code: "invalid_argument" });
  }
});

Deno.test("toLabels() reads keywords of a card", () => {
  assert.deepEqual(toLabels(["fast", "lang=fr", "x=a=b"]), { fast: "", lang: "fr", x: "a=b" });
});

Deno.test("mergeAgents() gives each peer once, proven before claimed, the latest word first", () => {
  const merged = mergeAgents([
    agentOf("b", { verified: false, via: ["registry r"], addresses: ["/1"], lastSeenMs: 9, name: "Forged" }),
    agentOf("c", { lastSeenMs: 5, name: "Old" }),
    agentOf("b", { via: ["dht"], addresses: ["/2", "/1"], lastSeenMs: 3 }),
    agentOf("c", { lastSeenMs: 7, via: ["mdns"], name: "New" }),
    agentOf("a", { verified: false }),
  ]);
  assert.deepEqual(
    merged.map(({ peerId, name, verified, lastSeenMs, via, addresses }) => [
      ...[peerId, name, verified, lastSeenMs, via.join(" "), addresses.join(" ")],
    ]),
    [
      ["b", "Agent b", true, 9, "registry r dht", "/2 /1"],
      ["c", "New", true, 7, "peer mdns", ""],
      ["a", "Agent a", false, 1, "peer", ""],
    ],
  );
});

Deno.test("discover() asks all sources, survives any that fails and tells which", async () => {
  const { ids, directory } = directoryOf([
    sourceOf("near", () => Promise.resolve([agentOf("a"), agentOf("self")]), true),
    sourceOf("broken", () => Promise.reject(new CodedError("unavailable", "down"))),
    sourceOf("far", () => Promise.resolve([agentOf("b"), agentOf("c", { skills: [] })])),
  ]);
  assert.deepEqual(await ids({ skill: "translate" }), ["a", "b"]);
  assert.deepEqual(await ids({ skill: "translate", limit: 1 }), ["a"]);
  const { failures } = await directory.discover({ skill: "translate" });
  assert.deepEqual(failures, [{ source: "broken", reason: "down" }]);
});

Deno.test("discover() does not wait for a source that hangs, and hardly in a hurry", async () => {
  const hanging = sourceOf("hanging", () => new Promise(() => {}));
  const { clock, directory } = directoryOf([hanging, sourceOf("far", () => Promise.resolve([agentOf("b")]))]);
  for (const [hurry, ms] of [[true, 250], [false, 3_000]] as const) {
    const answer = directory.discover({ skill: "translate" }, { hurry });
    await turn();
    clock.advance(ms - 1);
    assert.equal(await Promise.race([answer.then(() => "answered"), turn().then(() => "waits")]), "waits");
    clock.advance(1);
    const { agents, failures } = await answer;
    assert.deepEqual([agents.length, failures.map(({ source }) => source)], [1, ["hanging"]]);
  }
  assert.equal(clock.sleeping, 0);
});

Deno.test("discover() hardly waits for the others in a hurry when a connected agent will do", async () => {
  const hanging = sourceOf("hanging", () => new Promise(() => {}));
  const near = sourceOf("near", () => Promise.resolve([agentOf("a")]), true);
  const { clock, directory } = directoryOf([hanging, near]);
  const answer = directory.discover({ skill: "translate" }, { hurry: true });
  await turn();
  clock.advance(250);
  assert.equal((await answer).agents.length, 1);
});

Deno.test("discover() keeps answers for a while, none for a short one, and forgets those it doubts", async () => {
  let agents = [agentOf("b")];
  const far = sourceOf("far", () => Promise.resolve(agents));
  const near = sourceOf("near", () => Promise.resolve([]), true);
  const { clock, directory, ids } = directoryOf([far, near]);
  const query = { skill: "translate" };
  await Promise.all([ids(query), ids(query), ids(query)]);
  clock.advance(29_999);
  await ids(query);
  assert.deepEqual([far.asked, near.asked], [1, 4]);
  clock.advance(1);
  await ids(query);
  assert.equal(far.asked, 2);
  directory.doubt("other");
  await ids(query);
  assert.equal(far.asked, 2);
  agents = [];
  directory.doubt("b");
  assert.deepEqual(await ids(query), []);
  agents = [agentOf("b")];
  assert.deepEqual(await ids(query), []);
  clock.advance(2_000);
  assert.deepEqual(await ids(query), ["b"]);
  assert.equal(far.asked, 4);
  assert.deepEqual(await ids(query, { fresh: true }), ["b"]);
  assert.equal(far.asked, 5);
});

Deno.test("discover() keeps nothing that it did not find because somebody was not asked", async () => {
  let isDown = true;
  const far = sourceOf(
    "far",
    () => isDown ? Promise.reject(new Error("down")) : Promise.resolve([agentOf("b")]),
  );
  const { ids } = directoryOf([far]);
  assert.deepEqual(await ids({ skill: "translate" }), []);
  isDown = false;
  assert.deepEqual(await ids({ skill: "translate" }), ["b"]);
});

Deno.test("discover() keeps a bounded number of answers", async () => {
  const far = sourceOf("far", () => Promise.resolve([agentOf("b")]));
  const { ids } = directoryOf([far]);
  for (let i = 0; i <= 1_000; i++) await ids({ prefix: "t", limit: i + 1 });
  await ids({ prefix: "t", limit: 500 });
  assert.equal(far.asked, 1_000, "limits above the most are one, and the newest are at hand");
  await ids({ text: "agent" });
  await ids({ prefix: "t", limit: 1 });
  assert.equal(far.asked, 1_002, "the oldest is gone");
});

Deno.test("discover() is given up by its caller alone", async () => {
  const { directory } = directoryOf([sourceOf("far", () => Promise.resolve([agentOf("b")]))]);
  const signal = AbortSignal.abort(new CodedError("cancelled", "enough"));
  await assert.rejects(directory.discover({}, { signal }), { code: "cancelled" });
});
