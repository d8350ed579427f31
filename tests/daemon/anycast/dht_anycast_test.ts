import assert from "node:assert/strict";
import { silentLogger } from "../../../core/log.ts";
import { createDhtProvider } from "../../../daemon/anycast/dht_provider.ts";
import { DhtPublisher } from "../../../daemon/anycast/dht_publisher.ts";
import { agentKey, DHT_RECORDS, skillName } from "../../../daemon/anycast/dht_records.ts";
import { FactSigner, NO_FACTS } from "../../../daemon/anycast/sign_facts.ts";
import { encodeSignedRecord } from "../../../daemon/convert/registry_record.ts";
import { createIdentity, type RegistryFacts } from "../../../identity/mod.ts";
import { type DiscoveredAgent, Node } from "../../../sdk/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { untilHolds } from "../../support/patience.ts";
import { startTestDaemon, type TestDaemon } from "../../support/test_daemon.ts";

const identity = createIdentity(new Uint8Array(32).fill(3));
const other = createIdentity(new Uint8Array(32).fill(4));
const { peerId } = identity;
const FACTS: RegistryFacts = {
  name: "A",
  description: "d",
  skills: [{ id: "s", description: "does s", tags: { lang: "fr" } }],
  addresses: ["/ip4/192.0.2.1/tcp/1"],
};
const signal = new AbortController().signal;

function recordOf(facts: RegistryFacts, by = identity, now = Date.now): Uint8Array {
  return encodeSignedRecord(new FactSigner(by, now).sign(facts).signed);
}

Deno.test("validate() takes records that their peer signed, under its key, while they hold", () => {
  const { validate } = DHT_RECORDS;
  const key = agentKey(peerId);
  validate(key, recordOf(FACTS));
  validate(key, recordOf(NO_FACTS));
  const forged = recordOf(FACTS);
  forged[20]! ^= 1;
  for (
    const [badKey, value] of [
      [key, recordOf(FACTS, other)],
      [agentKey(other.peerId), recordOf(FACTS)],
      ["/agentanycast/agent/", recordOf(FACTS)],
      [key, forged],
      [key, new Uint8Array([1, 2, 3])],
      [key, new Uint8Array()],
      [key, recordOf(FACTS, identity, () => Date.now() - 2 * 60 * 60 * 1000)],
      [key, recordOf(FACTS, identity, () => Date.now() + 60 * 60 * 1000)],
    ] as const
  ) assert.throws(() => validate(badKey, value));
});

Deno.test("select() takes the record that was signed last", () => {
  const signer = new FactSigner(identity, Date.now);
  const records = [FACTS, { ...FACTS, name: "B" }, { ...FACTS, name: "C" }].map((facts) =>
    encodeSignedRecord(signer.sign(facts).signed)
  );
  const [first, second, third] = records;
  assert.equal(DHT_RECORDS.select(agentKey(peerId), [second!, third!, first!]), 1);
});

Deno.test("find() answers those whose record holds, and bare ones where there can be no records", async () => {
  const records = new Map([
    [agentKey(peerId), recordOf(FACTS)],
    [agentKey("gone"), recordOf(NO_FACTS)],
    [agentKey("liar"), recordOf(FACTS, other)],
  ]);
  const asked: string[] = [];
  const dht = {
    async *findProviders(name: string) {
      asked.push(name);
      for (const peerId of [identity.peerId, "gone", "liar", "bare"]) {
        yield await Promise.resolve({ peerId, addresses: [`/ip4/192.0.2.9/tcp/${peerId.length}`] });
      }
    },
    get: (key: string) => Promise.resolve(records.get(key)),
  };
  const find = async (takesBare: boolean, skill?: string) =>
    (await createDhtProvider({ dht, takesBare }).find({ skill }, { signal }))
      .map(({ peerId, name, verified, addresses }) => [peerId, name, verified, addresses.length]);
  assert.deepEqual(await find(false, "s"), [[peerId, "A", true, 2]]);
  assert.deepEqual(await find(true, "s"), [[peerId, "A", true, 2], ["bare", "", false, 1]]);
  assert.deepEqual(await find(true), [], "it knows skills alone");
  assert.deepEqual(asked, [skillName("s"), skillName("s")]);
});

Deno.test("find() has somebody wait for each record while the table is still asked", async () => {
  const dht = {
    async *findProviders() {
      yield { peerId: "bad", addresses: [] };
      await new Promise((resolve) => setTimeout(resolve, 0)); // a failure that nobody waits for ends the test here
      yield { peerId: "bare", addresses: [] };
    },
    get: (key: string) =>
      key === agentKey("bad") ? Promise.reject(new Error("no")) : Promise.resolve(undefined),
  };
  const found = await createDhtProvider({ dht, takesBare: true }).find({ skill: "s" }, { signal });
  assert.deepEqual(found.map(({ peerId }) => peerId), ["bare"]);
});

/** A publisher on a clock of the test, and what it told the table. */
function publish(facts: RegistryFacts | undefined) {
  const clock = new FakeClock();
  const stop = new AbortController();
  const net = {
    ...{ clock, facts, size: 0, told: [] as string[], rejoined: 0 },
    async pass(ms: number) {
      clock.advance(ms);
      for (let i = 0; i < 10; i++) await new Promise((resolve) => setTimeout(resolve, 0));
      return net.told.splice(0);
    },
    async end() {
      stop.abort();
      await running;
      return net.told.splice(0);
    },
  };
  const tell = (what: string) => Promise.resolve(net.told.push(what));
  const publisher = new DhtPublisher({
    ...{ identity, clock, logger: silentLogger },
    facts: () => net.facts,
    rejoin: () => Promise.resolve(void net.rejoined++),
    dht: {
      get size() {
        return net.size;
      },
      provide: (name) => tell(`provide ${name}`),
      stopProviding: async (name) => void await tell(`stop ${name}`),
      put: (key, value) => {
        DHT_RECORDS.validate(key, value.length > 0 ? recordOf(FACTS) : value);
        return tell("put");
      },
    },
  });
  const running = publisher.run(stop.signal);
  return net;
}

Deno.test("run() publishes as soon as the table has peers, again when it grows or time passes, and takes it back", async () => {
  const net = publish(FACTS);
  assert.deepEqual(await net.pass(10_000), []);
  assert.equal(net.rejoined, 1);
  net.size = 1;
  assert.deepEqual(await net.pass(2_000), ["put", "provide agentanycast/skill/s"]);
  assert.deepEqual(await net.pass(60_000), []);
  net.size = 2;
  assert.deepEqual(await net.pass(2_000), ["put", "provide agentanycast/skill/s"]);
  assert.deepEqual(await net.pass(20 * 60_000), ["put"], "the record would end");
  net.facts = { ...FACTS, skills: [{ id: "t", description: "", tags: {} }] };
  assert.deepEqual(await net.pass(2_000), [
    "put",
    "provide agentanycast/skill/t",
    "stop agentanycast/skill/s",
  ]);
  assert.deepEqual((await net.pass(7 * 60 * 60_000)).length, 2, "a day later nobody would know it");
  net.facts = undefined;
  assert.deepEqual(await net.pass(2_000), ["stop agentanycast/skill/t", "put"]);
  assert.deepEqual(await net.end(), []);
});

Deno.test("run() takes what it published back when it ends", async () => {
  const net = publish(FACTS);
  await net.pass(0);
  net.size = 1;
  await net.pass(2_000);
  assert.deepEqual(await net.end(), ["stop agentanycast/skill/s", "put"]);
});

Deno.test("agents are found in the DHT behind others, with no relay at all, and tasks reach them", async () => {
  await using stack = new AsyncDisposableStack();
  const flags = { "anycast-enable-dht": "true" };
  const daemons: TestDaemon[] = [];
  for (let i = 0; i < 3; i++) {
    const before = daemons.at(-1);
    daemons.push(stack.use(
      await startTestDaemon({
        flags: { ...flags, ...before && { "bootstrap-peers": before.daemon.addresses()[0]! } },
      }),
    ));
  }
  const [first, , last] = daemons;
  const agent = stack.use(
    new Node({ daemonAddr: last!.daemon.grpcAddress, card: { name: "Far", skills: [{ id: "translate" }] } }),
  );
  agent.onTask((task) => task.complete("Bonjour"));
  await agent.start();
  const sender = stack.use(new Node({ daemonAddr: first!.daemon.grpcAddress }));
  await sender.start();
  let found: DiscoveredAgent | undefined;
  // As peers meet on their way through the table, they come to know each other's cards as well.
  await untilHolds(async () => {
    [found] = await sender.discover("translate");
    return found?.via.includes("dht") === true;
  });
  assert.deepEqual([found?.peerId, found?.agentName, found?.verified], [last!.daemon.peerId, "Far", true]);
  const task = await (await sender.sendTask("Hello", { skill: "translate" })).wait();
  assert.equal(task.artifacts[0]?.parts[0]?.text, "Bonjour");
});
