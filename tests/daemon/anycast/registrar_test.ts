import assert from "node:assert/strict";
import { CodedError } from "../../../core/errors.ts";
import { silentLogger } from "../../../core/log.ts";
import { ownFacts } from "../../../daemon/anycast/own_facts.ts";
import { Registrar } from "../../../daemon/anycast/registrar.ts";
import {
  createIdentity,
  openRegistryRecord,
  type RegistryFacts,
  type RegistryRecord,
} from "../../../identity/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const identity = createIdentity(new Uint8Array(32).fill(7));
const CARD = {
  ...{ name: "A", description: "d", version: "1", protocolVersion: "a2a/0.3", peerId: "", didKey: "" },
  ...{ supportedTransports: [], relayAddresses: [], didWeb: "", didDns: "", verifiableCredentials: [] },
  skills: [{
    ...{ id: "s", name: "S", description: "does s", inputSchema: "", outputSchema: "" },
    tags: ["lang=fr", "fast"],
  }],
  signedAtMs: 0,
};

/** A registry in memory that a test can break, and a registrar that works with it on a clock of the test. */
function setUp(t: { fail?: (call: string) => CodedError | undefined } = {}) {
  const clock = new FakeClock();
  const calls: string[] = [];
  const stop = new AbortController();
  const net = {
    ...t,
    clock,
    calls,
    registered: undefined as RegistryRecord | undefined,
    facts: ownFacts(CARD, ["/ip4/192.0.2.1/tcp/1"]) as RegistryFacts | undefined,
    registrar: undefined as unknown as Registrar,
    async pass(ms: number) {
      clock.advance(ms);
      for (let i = 0; i < 10; i++) await new Promise((resolve) => setTimeout(resolve, 0));
    },
    async end() {
      stop.abort();
      await running;
    },
  };
  const call = (name: string) => {
    calls.push(name);
    const error = net.fail?.(name);
    return error === undefined ? Promise.resolve() : Promise.reject(error);
  };
  const lease = { ttlMs: 30_000, relayId: "r" };
  net.registrar = new Registrar({
    ...{ name: "relay r", identity, clock, logger: silentLogger },
    facts: () => net.facts,
    client: {
      register: async ({ signed }) => {
        await call("register");
        const record = openRegistryRecord(signed, { nowMs: clock.now() });
        if (net.registered !== undefined && record.sequence <= net.registered.sequence) {
          throw new CodedError("aborted", `There is a later one, of sequence ${net.registered.sequence}`);
        }
        net.registered = record;
        return lease;
      },
      heartbeat: async () => {
        await call("heartbeat");
        if (net.registered === undefined) throw new CodedError("not_found", "forgotten");
        return lease;
      },
      unregister: async ({ signed }) => {
        await call("unregister");
        assert.ok(openRegistryRecord(signed, { nowMs: clock.now() }).removed);
        net.registered = undefined;
      },
    },
  });
  const running = net.registrar.run(stop.signal);
  return net;
}

Deno.test("run() registers at once, renews well within the life, and takes it back at the end", async () => {
  const net = setUp();
  await net.pass(0);
  assert.deepEqual(net.calls, ["register"]);
  assert.deepEqual(
    [net.registered?.peerId, net.registered?.skills],
    [identity.peerId, [{ id: "s", description: "does s", tags: { lang: "fr", fast: "" } }]],
  );
  for (let i = 0; i < 15; i++) await net.pass(2_000);
  assert.deepEqual(net.calls, ["register", "heartbeat", "heartbeat", "heartbeat"]);
  await net.end();
  assert.deepEqual([net.calls.at(-1), net.registered], ["unregister", undefined]);
});

Deno.test("run() waits for a card and registers what it says now", async () => {
  const net = setUp();
  net.facts = undefined;
  await net.pass(60_000);
  const before = net.calls.length;
  net.facts = ownFacts(CARD, []);
  net.registrar.wake();
  await net.pass(0);
  assert.equal(net.registered?.name, "A");
  net.facts = ownFacts({ ...CARD, name: "B" }, ["/ip4/192.0.2.2/tcp/1"]);
  await net.pass(2_000);
  await net.pass(0);
  assert.deepEqual([net.registered?.name, net.registered?.addresses], ["B", ["/ip4/192.0.2.2/tcp/1"]]);
  net.facts = undefined;
  await net.pass(2_000);
  await net.pass(0);
  assert.equal(net.registered, undefined);
  assert.deepEqual(net.calls.slice(before), ["register", "register", "unregister"]);
  await net.end();
});

Deno.test("run() registers again where it was forgotten, and at once when the relay is back", async () => {
  const net = setUp();
  await net.pass(0);
  net.registered = undefined;
  net.registrar.wake();
  await net.pass(0);
  assert.equal(net.registrar.isRegistered, true);
  assert.deepEqual(net.calls, ["register", "heartbeat", "register"]);
  await net.end();
});

Deno.test("run() tries again within seconds while a registry is down", async () => {
  let isDown = true;
  const net = setUp({ fail: () => isDown ? new CodedError("unavailable", "down") : undefined });
  for (let i = 0; i < 30; i++) await net.pass(2_000);
  assert.ok(net.calls.length > 8 && net.calls.length < 40, `${net.calls.length} tries in a minute`);
  isDown = false;
  for (let i = 0; i < 3; i++) await net.pass(2_000);
  assert.equal(net.registered?.name, "A");
  await net.end();
});

Deno.test("run() leaves a peer alone that is no registry", async () => {
  const net = setUp({ fail: () => new CodedError("unimplemented", "no such protocol") });
  for (let i = 0; i < 20; i++) await net.pass(6_000);
  assert.deepEqual(net.calls, ["register"]);
  await net.end();
});

Deno.test("run() goes beyond a sequence from before the clock was set back", async () => {
  const net = setUp();
  await net.pass(0);
  const later = (net.registered?.sequence ?? 0) + 1_000_000;
  if (net.registered !== undefined) net.registered = { ...net.registered, sequence: later };
  net.facts = ownFacts({ ...CARD, name: "B" }, []);
  net.registrar.wake();
  await net.pass(0);
  assert.deepEqual([net.registered?.name, net.registered?.sequence], ["B", later + 1]);
  await net.end();
});

Deno.test("run() does not believe a sequence behind which there is none", async () => {
  const net = setUp();
  await net.pass(0);
  if (net.registered !== undefined) net.registered = { ...net.registered, sequence: 2 ** 53 - 2 };
  net.facts = ownFacts({ ...CARD, name: "B" }, []);
  net.registrar.wake();
  await net.pass(0);
  net.registered = undefined;
  await net.pass(6_000);
  assert.equal((net.registered as RegistryRecord | undefined)?.name, "B");
  await net.end();
});

Deno.test("run() signs again before the record ends", async () => {
  const net = setUp();
  await net.pass(0);
  const first = net.registered?.sequence ?? 0;
  for (let i = 0; i < 40; i++) await net.pass(60_000);
  assert.ok((net.registered?.expiresAtMs ?? 0) > net.clock.now());
  assert.ok((net.registered?.sequence ?? 0) > first);
  await net.end();
});

Deno.test("ownFacts() cuts what registries do not take, and needs a skill", () => {
  const skill = CARD.skills[0]!;
  const skills = Array.from(
    { length: 200 },
    (_, i) => ({ ...skill, id: `s${i}`, description: "x".repeat(5_000) }),
  );
  const near = "/ip4/127.0.0.1/tcp/1";
  const facts = ownFacts({ ...CARD, name: "n".repeat(999), skills }, [
    near,
    ...Array(20).fill("/ip4/1.2.3.4/tcp/1"),
  ]);
  assert.deepEqual(
    [facts?.name.length, facts?.skills.length, facts?.skills[0]?.description.length, facts?.addresses.length],
    [256, 128, 1_024, 16],
  );
  assert.equal(facts?.addresses.includes(near), false, "what others can dial comes first");
  assert.equal(ownFacts({ ...CARD, skills: [] }, []), undefined);
  assert.equal(ownFacts(undefined, []), undefined);
});
