import assert from "node:assert/strict";
import { FactSigner } from "../../../daemon/anycast/sign_facts.ts";
import { createIdentity } from "../../../identity/mod.ts";
import { RegistryClient } from "../../../registry/mod.ts";
import { createRpcClient } from "../../../rpc/rpc_client.ts";
import { Node, type Skill } from "../../../sdk/mod.ts";
import { untilHolds } from "../../support/patience.ts";
import { startTestDaemon, type TestDaemon } from "../../support/test_daemon.ts";
import { startTestRelay, type TestRelay } from "../../support/test_relay.ts";
import { tempDir } from "../../support/temp_dir.ts";

/** A daemon and a client of it. */
interface Party extends AsyncDisposable {
  readonly daemon: TestDaemon;
  readonly node: Node;
}

async function startParty(
  flags: Readonly<Record<string, string>>,
  skills?: readonly Skill[],
): Promise<Party> {
  await using stack = new AsyncDisposableStack();
  const daemon = stack.use(await startTestDaemon({ flags }));
  const card = skills && { card: { name: "Agent", skills } };
  const node = stack.use(new Node({ daemonAddr: daemon.daemon.grpcAddress, ...card }));
  await node.start();
  const owned = stack.move();
  return { daemon, node, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The agents with `skill` that `node` finds over relays, once `isRight` says that it is what is waited for. */
async function untilFound(
  { node }: Party,
  skill: string,
  isRight: (peerIds: readonly string[]) => boolean,
): Promise<void> {
  await untilHolds(async () => {
    const found = await node.discover(skill).catch(() => []);
    return isRight(found.map(({ peerId }) => peerId));
  });
}

const overRelay = (...relays: TestRelay[]) => ({
  "bootstrap-peers": relays.map(({ address }) => address).join(),
  "anycast-cache-ttl": "0",
  "anycast-empty-cache-ttl": "0",
});

Deno.test("an agent is found over a relay as soon as it has a card, reached, and gone when it stops", async () => {
  await using relay = await startTestRelay();
  await using sender = await startParty(overRelay(relay));
  const agent = await startParty(overRelay(relay), [{ id: "translate", tags: ["lang=fr"] }]);
  const { peerId } = agent.daemon.daemon;
  agent.node.onTask((task) => task.complete("Bonjour"));
  await untilFound(sender, "translate", (found) => found.includes(peerId));
  const [found] = await sender.node.discover("translate", { tags: { lang: "fr" } });
  assert.deepEqual([found?.verified, found?.via], [true, [`relay ${relay.relay.peerId}`]]);
  const handle = await sender.node.sendTask("Hello", { skill: "translate", skillTags: { lang: "fr" } });
  assert.equal((await handle.wait()).artifacts[0]?.parts[0]?.text, "Bonjour");
  await agent[Symbol.asyncDispose]();
  await untilFound(sender, "translate", (found) => found.length === 0);
});

Deno.test("an agent is found again after its relay was killed and restarted, and over another one meanwhile", async () => {
  await using home = await tempDir();
  const [first, second] = [await startTestRelay({ home: home.path }), await startTestRelay()];
  await using _second = second;
  const { address } = first;
  const port = /tcp\/\d+/.exec(address)?.[0] ?? "";
  await using agent = await startParty(overRelay(first, second), [{ id: "translate" }]);
  await using sender = await startParty(overRelay(first, second));
  const { peerId } = agent.daemon.daemon;
  const isFound = (found: readonly string[]) => found.includes(peerId);
  await untilFound(sender, "translate", isFound);
  await first[Symbol.asyncDispose]();
  await untilFound(sender, "translate", isFound);
  await second[Symbol.asyncDispose]();
  await using _again = await startTestRelay({
    home: home.path,
    flags: { listen: `/ip4/127.0.0.1/${port}`, "registry-store": "memory" },
  });
  await using late = await startParty(overRelay(first));
  await untilFound(late, "translate", isFound);
});

Deno.test("a gRPC registry is one as well, and whoever does not answer is named", async () => {
  await using relay = await startTestRelay();
  const registry = { "anycast-registry-addrs": relay.relay.registryAddress, "anycast-cache-ttl": "0" };
  await using agent = await startParty(registry, [{ id: "translate" }]);
  await using sender = await startParty({ ...registry, "anycast-empty-cache-ttl": "0" });
  const { peerId } = agent.daemon.daemon;
  await untilFound(sender, "translate", (found) => found.includes(peerId));
  assert.equal((await sender.node.discover("translate"))[0]?.verified, true);
  const nowhere = { "anycast-registry-addrs": "127.0.0.1:1" };
  await using lost = await startParty(nowhere);
  await assert.rejects(lost.node.discover("translate"), {
    code: "unavailable",
    message: /registry 127\.0\.0\.1:1/,
  });
});

Deno.test("tasks go past a registered agent that is dead to the one that lives", async () => {
  await using relay = await startTestRelay();
  const flags = { ...overRelay(relay), "anycast-routing-strategy": "round-robin" };
  await using sender = await startParty(flags);
  await using agent = await startParty(flags, [{ id: "echo" }]);
  agent.node.onTask((task) => task.complete("done"));
  await registerDead(relay, "echo");
  await untilFound(sender, "echo", (found) => found.length === 2);
  for (let i = 0; i < 4; i++) {
    const { status, peerId } = await (await sender.node.sendTask("x", { skill: "echo" })).wait();
    assert.deepEqual([status, peerId], ["completed", agent.daemon.daemon.peerId]);
  }
});

/** Registers an agent that nobody is. */
async function registerDead(relay: TestRelay, skill: string): Promise<void> {
  const signer = new FactSigner(createIdentity(crypto.getRandomValues(new Uint8Array(32))), Date.now);
  using client = new RegistryClient({ calls: createRpcClient(relay.relay.registryAddress) });
  const skills = [{ id: skill, description: "", tags: {} }];
  await client.register(
    signer.sign({ name: "Dead", description: "", skills, addresses: ["/ip4/127.0.0.1/tcp/1"] }),
  );
}

Deno.test("an agent at one relay is found at another that federates with it", async () => {
  await using first = await startTestRelay();
  await using second = await startTestRelay({
    flags: { "federation-peers": first.address, "federation-sync-interval": "500ms" },
  });
  await using agent = await startParty(overRelay(first), [{ id: "translate" }]);
  await using sender = await startParty(overRelay(second));
  agent.node.onTask((task) => task.complete("Bonjour"));
  const { peerId } = agent.daemon.daemon;
  await untilFound(sender, "translate", (found) => found.includes(peerId));
  const [found] = await sender.node.discover("translate");
  assert.deepEqual([found?.verified, found?.via], [true, [`relay ${first.relay.peerId}`]]);
  const task = await (await sender.node.sendTask("Hello", { skill: "translate" })).wait();
  assert.equal(task.artifacts[0]?.parts[0]?.text, "Bonjour");
});

Deno.test("a registry over TLS is believed by its certificate alone", async () => {
  const file = (name: string) => new URL(`../../testdata/tls/${name}`, import.meta.url).pathname;
  const ca = file("agent_test.pem");
  const tls = { "tls-cert": ca, "tls-key": file("agent_test_key.pem") };
  await using relay = await startTestRelay({ flags: tls });
  const registry = { "anycast-registry-addrs": relay.relay.registryAddress.replace("tcp:", "tls:") };
  await using agent = await startParty({ ...registry, "anycast-registry-ca": ca }, [{ id: "translate" }]);
  await using sender = await startParty({ ...registry, "anycast-registry-ca": ca });
  const { peerId } = agent.daemon.daemon;
  await untilFound(sender, "translate", (found) => found.includes(peerId));
  await using stranger = await startParty(registry);
  await assert.rejects(stranger.node.discover("translate"), { code: "unavailable" });
  await assert.rejects(
    startTestDaemon({ flags: { "anycast-registry-ca": "/nowhere.pem" } }),
    { code: "invalid_argument", message: /anycast\.registry_ca/ },
  );
});

Deno.test("agents that met over a relay find each other in the DHT when it is gone", async () => {
  const relay = await startTestRelay();
  const flags = { ...overRelay(relay), "anycast-enable-dht": "true" };
  await using agent = await startParty(flags, [{ id: "translate" }]);
  await using other = await startParty(flags, [{ id: "sing" }]);
  await using sender = await startParty(flags);
  const { peerId } = agent.daemon.daemon;
  const isInTable = async () => {
    const found = await sender.node.discover("translate").catch(() => []);
    return found.some((one) => one.peerId === peerId && one.via.includes("dht"));
  };
  await untilHolds(isInTable);
  await relay[Symbol.asyncDispose]();
  await untilFound(sender, "translate", (found) => found.includes(peerId));
  assert.equal(await isInTable(), true);
  assert.ok(other.daemon.daemon.peerId);
});
