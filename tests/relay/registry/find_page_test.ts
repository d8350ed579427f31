import assert from "node:assert/strict";
import { ChangeLog } from "../../../relay/registry/change_log.ts";
import { findPage } from "../../../relay/registry/find_page.ts";
import { mergeAfter, SortedIds } from "../../../relay/registry/sorted_ids.ts";
import { Turns } from "../../../relay/registry/turns.ts";
import { RequestRate } from "../../../relay/services/request_rate.ts";
import { identityOf, peer, startRegistry } from "./registry_rig.ts";

Deno.test("find() walks all pages in one order while agents come and go", async () => {
  const rig = await startRegistry();
  const agents = Array.from({ length: 25 }, (_, i) => identityOf(i + 1));
  for (const agent of agents) await rig.registry.register(rig.sign(agent), peer(agent));
  const seen: string[] = [];
  let pageToken = "";
  do {
    const page = await rig.registry.find({ skill: "echo", limit: 10, pageToken });
    seen.push(...page.agents.map(({ peerId }) => peerId));
    pageToken = page.nextPageToken;
    if (seen.length === 10) {
      await rig.registry.remove(seen[9]!, [], { peerId: seen[9], host: "" }); // the page token itself
    }
  } while (pageToken !== "");
  assert.deepEqual(seen, agents.map(({ peerId }) => peerId).sort());
});

Deno.test("find() answers at most 1,000, 100 when nothing is said, and refuses queries that are too long", async () => {
  const rig = await startRegistry({ capacity: 2_000 });
  for (let i = 1; i <= 1_001; i++) {
    await rig.registry.register(rig.sign(identityOf(i)), peer(identityOf(i), "127.0.0.1"));
  }
  assert.equal((await rig.registry.find({})).agents.length, 100);
  assert.equal((await rig.registry.find({ limit: 5_000 })).agents.length, 1_000);
  await assert.rejects(rig.registry.find({ text: "x".repeat(257) }), { code: "invalid_argument" });
  const tags = Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`t${i}`, ""]));
  await assert.rejects(rig.registry.find({ tags }), { code: "invalid_argument" });
});

Deno.test("findPage() lets others work between its turns, and their changes lead to nothing twice or missed", async () => {
  const rig = await startRegistry();
  const agents = Array.from({ length: 30 }, (_, i) => identityOf(i + 1))
    .sort((a, b) => a.peerId < b.peerId ? -1 : 1);
  const [late, gone, ...others] = agents;
  for (const agent of [gone!, ...others]) await rig.registry.register(rig.sign(agent), peer(agent));
  const { here, elsewhere } = rig.directory;
  const turns = new Turns({ firstMs: 0, turnMs: 0 });
  let looks = 0;
  const get = (peerId: string) => {
    looks++;
    return rig.directory.get(peerId);
  };
  const searching = findPage({ tables: [here, elsewhere], turns, get }, { text: "AGENT ech" });
  assert.equal(looks, 1, "the first turn is over");
  await rig.registry.register(rig.sign(late!), peer(late!)); // lies behind: not seen, and nothing moves for it
  await rig.registry.remove(gone!.peerId, [], peer(gone!));
  const { agents: found } = await searching;
  assert.deepEqual(found.map(({ peerId }) => peerId), [gone!, ...others].map(({ peerId }) => peerId));
});

Deno.test("find() still finds by words after renewals, and by what was said last", async () => {
  const rig = await startRegistry();
  const agent = identityOf(1);
  await rig.registry.register(rig.sign(agent, { description: "Paints HOUSES" }), peer(agent));
  await rig.registry.heartbeat(agent.peerId, peer(agent));
  assert.deepEqual(await rig.found({ text: "houses echo" }), [agent.peerId]);
  await rig.registry.register(rig.sign(agent, { description: "Builds boats", sequence: 2 }), peer(agent));
  assert.deepEqual(await rig.found({ text: "houses" }), []);
  assert.deepEqual(await rig.found({ text: "BOATS" }), [agent.peerId]);
});

Deno.test("Turns does one long work at a time, and refuses the next one when too many wait", async () => {
  const turns = new Turns({ firstMs: 0, turnMs: 0, maxWaiting: 2 });
  const done: string[] = [];
  const work = (name: string, count: number) => () => {
    done.push(name);
    return --count === 0;
  };
  const long = [turns.run(work("a", 3)), turns.run(work("b", 3))];
  await turns.run(work("short", 1));
  await assert.rejects(turns.run(work("c", 2)), {
    code: "resource_exhausted",
    message: /^The query .* 2 such queries/,
  });
  await Promise.all(long);
  assert.deepEqual(done, ["a", "b", "short", "c", "a", "a", "b", "b"]);
  await turns.run(work("d", 2));
});

Deno.test("find() takes names of tags that objects have by themselves for missing", async () => {
  const rig = await startRegistry();
  await rig.registry.register(rig.sign(identityOf(1)), peer(identityOf(1)));
  assert.deepEqual(await rig.found({ tags: { constructor: "" } }), []);
  assert.deepEqual(await rig.found({ tags: { toString: String(Object.prototype.toString) } }), []);
});

Deno.test("mergeAfter() gives the ids of several sets in order, each once", () => {
  const sets = [["b", "d", "f"], ["a", "b", "e"], []].map((ids) => {
    const set = new SortedIds();
    for (const id of ids.toReversed()) set.add(id);
    set.add("b");
    set.delete("zzz");
    return set;
  });
  assert.deepEqual([...mergeAfter(sets, "")], ["a", "b", "d", "e", "f"]);
  assert.deepEqual([...mergeAfter(sets, "b")], ["d", "e", "f"]);
  assert.deepEqual([...mergeAfter(sets, "c")], ["d", "e", "f"]);
});

Deno.test("ChangeLog gives each peer's last change behind a number, and stays as small as there are peers", () => {
  const log = new ChangeLog();
  for (let i = 0; i < 10_000; i++) log.note(`p${i % 3}`, 1_000 + i);
  assert.deepEqual([...log.after(0)].map(({ peerId, number }) => [peerId, number]), [
    ["p1", 9_998],
    ["p2", 9_999],
    ["p0", 10_000],
  ]);
  assert.deepEqual([...log.after(9_999)].map(({ peerId }) => peerId), ["p0"]);
  assert.equal(log.numberBefore(10_998), 9_998);
  assert.equal(log.numberBefore(99_999), 10_000);
  log.forget("p0");
  assert.deepEqual([...log.after(9_998)].map(({ peerId }) => peerId), ["p2"]);
  log.note("p9", 5); // the clock went back
  assert.equal([...log.after(10_000)][0]?.atMs, 10_999);
});

Deno.test("RequestRate refuses a caller that goes on too fast, and leaves others and this machine alone", () => {
  let nowMs = 0;
  const rate = new RequestRate({ changesPerSecond: 2, queriesPerSecond: 1 }, () => nowMs);
  const caller = { peerId: undefined, host: "192.0.2.1" };
  for (let i = 0; i < 20; i++) rate.takeChange(caller);
  assert.throws(() => rate.takeChange(caller), {
    code: "resource_exhausted",
    message: /192\.0\.2\.1: the limit is 2 a second \(--registry-changes-per-second\)/,
  });
  rate.takeQuery(caller);
  rate.takeChange({ ...caller, host: "192.0.2.2" });
  for (let i = 0; i < 100; i++) rate.takeChange({ ...caller, host: "127.0.0.1" });
  nowMs = 500;
  rate.takeChange(caller);
  assert.throws(() => rate.takeChange(caller), { code: "resource_exhausted" });
});
