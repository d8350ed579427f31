import assert from "node:assert/strict";
import { STRATEGIES } from "../../../daemon/anycast/strategy.ts";
import { AgentFinder } from "../../../daemon/anycast/agent_finder.ts";
import { Latencies } from "../../../daemon/anycast/latencies.ts";
import { Chooser, type ChooserDeps, type Strategy } from "../../../daemon/anycast/strategy.ts";
import { DAEMON_SETTINGS } from "../../../core/config.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const PEERS = ["p1", "p2", "p3"];
const choice = { skillId: "s", contextId: "c" };

function chooser(strategy: Strategy, deps: Partial<ChooserDeps> = {}): Chooser {
  return new Chooser(strategy, { latencyOf: () => Promise.resolve(0), loadOf: () => 0, ...deps });
}

Deno.test("the strategies are those that can be configured", () => {
  const { parse } = DAEMON_SETTINGS.anycast.routingStrategy;
  for (const strategy of STRATEGIES) assert.equal(parse(strategy, ""), strategy);
  assert.throws(() => parse("best", ""), SyntaxError);
});

Deno.test("order() by any strategy gives every peer once", async () => {
  for (const strategy of STRATEGIES) {
    const one = chooser(strategy);
    for (let i = 0; i < 5; i++) assert.deepEqual([...await one.order(PEERS, choice)].sort(), PEERS);
    assert.deepEqual(await one.order([], choice), []);
  }
});

Deno.test("order() at random begins with each peer about as often", async () => {
  const one = chooser("random");
  const firsts = new Map(PEERS.map((peerId) => [peerId, 0]));
  for (let i = 0; i < 600; i++) {
    const [first = ""] = await one.order(PEERS, choice);
    firsts.set(first, (firsts.get(first) ?? 0) + 1);
  }
  for (const count of firsts.values()) assert.ok(count > 120 && count < 280, `${[...firsts]}`);
});

Deno.test("order() by turns begins with the next peer, each skill by itself, whoever comes and goes", async () => {
  const one = chooser("round-robin");
  const first = async (peerIds: string[], skillId = "s") =>
    (await one.order(peerIds, { ...choice, skillId }))[0];
  const seen = [];
  for (let i = 0; i < 4; i++) seen.push(await first(["p3", "p1", "p2"]));
  assert.deepEqual(seen, ["p1", "p2", "p3", "p1"]);
  assert.equal(await first(PEERS, "other"), "p1");
  assert.equal(await first(["p1", "p3"]), "p3", "p2 is gone: it is p3's turn");
  assert.equal(await first(["p1", "p3", "p4"]), "p4");
});

Deno.test("order() by load and by latency begins with the least", async () => {
  const loads = new Map([["p1", 3], ["p2", 0], ["p3", 1]]);
  const byLoad = chooser("least-loaded", { loadOf: (peerId) => loads.get(peerId) ?? 0 });
  assert.deepEqual(await byLoad.order(PEERS, choice), ["p2", "p3", "p1"]);
  const latencies = new Map([["p1", 20], ["p2", Infinity], ["p3", 2]]);
  const latencyOf = (peerId: string) => Promise.resolve(latencies.get(peerId) ?? 0);
  assert.deepEqual(await chooser("least-latency", { latencyOf }).order(PEERS, choice), ["p3", "p1", "p2"]);
});

Deno.test("order() that sticks gives a conversation to the same peer, on every node, and only its own to another", async () => {
  const [one, other] = [chooser("sticky"), chooser("sticky")];
  const contexts = Array.from({ length: 60 }, (_, i) => `c${i}`);
  const first = async (by: Chooser, peerIds: string[], contextId: string) =>
    (await by.order(peerIds, { skillId: "s", contextId }))[0];
  const before = new Map<string, string | undefined>();
  for (const context of contexts) before.set(context, await first(one, PEERS, context));
  assert.equal(new Set(before.values()).size, 3, "all peers have conversations");
  for (const context of contexts) {
    assert.equal(await first(other, [...PEERS].reverse(), context), before.get(context));
    assert.equal(await first(one, [...PEERS, "p4"], context), before.get(context), "a new peer takes none");
    if (before.get(context) !== "p2") {
      assert.equal(await first(other, ["p1", "p3"], context), before.get(context));
    }
  }
});

Deno.test("of() measures a peer once in a while, and one that does not answer comes last", async () => {
  const clock = new FakeClock();
  const pinged: string[] = [];
  const latencies = new Latencies({
    clock,
    ping: (peerId) => {
      pinged.push(peerId);
      return peerId === "gone" ? Promise.reject(new Error("gone")) : Promise.resolve(7);
    },
  });
  assert.deepEqual(await Promise.all([latencies.of("p"), latencies.of("p"), latencies.of("gone")]), [
    ...[7, 7, Infinity],
  ]);
  clock.advance(59_999);
  assert.equal(await latencies.of("p"), 7);
  assert.deepEqual(pinged, ["p", "gone"]);
  clock.advance(1);
  await latencies.of("p");
  assert.deepEqual(pinged, ["p", "gone", "p"]);
});

Deno.test("of() measures few peers at once", async () => {
  const answers: (() => void)[] = [];
  const ping = () => new Promise<number>((resolve) => answers.push(() => resolve(1)));
  const latencies = new Latencies({ ping });
  const asked = Array.from({ length: 20 }, (_, i) => latencies.of(`p${i}`));
  assert.equal(answers.length, 8);
  answers.forEach((answer) => answer());
  assert.equal((await Promise.all(asked)).filter((ms) => ms === 1).length, 8);
});

Deno.test("find() puts those that failed and those that are not proven behind the others, for a while", async () => {
  const clock = new FakeClock();
  const doubted: string[] = [];
  const remembered: unknown[] = [];
  const agents = ["p1", "p2", "p3", "p4"].map((peerId) => ({
    peerId,
    ...{ name: "", description: "", skills: [], lastSeenMs: 0, via: [] },
    verified: peerId !== "p1",
    addresses: peerId === "p2" ? ["/ip4/192.0.2.1/tcp/1"] : [],
  }));
  const finder = new AgentFinder({
    clock,
    directory: {
      discover: () => Promise.resolve({ agents, failures: [{ source: "relay r", reason: "down" }] }),
      doubt: (peerId) => void doubted.push(peerId),
    },
    chooser: { order: (peerIds) => Promise.resolve(peerIds) },
    remember: (...given) => Promise.resolve(void remembered.push(given)),
  });
  const find = () =>
    finder.find({ skillId: "s", tags: {}, contextId: "c" }, {
      signal: new AbortController().signal,
      isTurn: true,
    });
  const { peerIds, unasked } = await find();
  assert.deepEqual(peerIds, ["p2", "p3", "p4", "p1"]);
  assert.equal(unasked, "relay r could not be asked: down");
  assert.deepEqual(remembered, [["p2", ["/ip4/192.0.2.1/tcp/1"]]]);
  finder.note("p2", "unreachable");
  finder.note("p3", "busy");
  assert.deepEqual((await find()).peerIds, ["p4", "p1", "p2", "p3"]);
  assert.deepEqual(doubted, ["p2"], "one that is busy is as it is said to be");
  finder.note("p2", "taken");
  clock.advance(30_000);
  assert.deepEqual((await find()).peerIds, ["p2", "p3", "p4", "p1"]);
});
