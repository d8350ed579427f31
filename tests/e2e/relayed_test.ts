// Tasks and streamed artifacts on relayed connections: when the relay goes away for a while, and when a direct one appears.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type IncomingTask, Node } from "../../sdk/mod.ts";
import { randomSeed } from "../p2p/test_host.ts";
import { startTestRelay, type TestRelay } from "../p2p/test_relay.ts";
import { PROGRAM_MS } from "../support/patience.ts";
import { startTestDaemon, type TestDaemon } from "../support/test_daemon.ts";

const MIB = 1024 * 1024;
const CHUNK = crypto.getRandomValues(new Uint8Array(65_536));
// The relay of libp2p leaves timers of its reservations behind.
const relayLeaks = { sanitizeOps: false, sanitizeResources: false };

interface Pair extends AsyncDisposable {
  readonly sender: Node;
  readonly agent: Node;
  readonly a: TestDaemon;
}

/** An agent and a sender whose daemons know only the relay. */
async function startRelayed(
  relay: TestRelay,
  { flags, handler }: { flags: Record<string, string>; handler: (task: IncomingTask) => Promise<void> },
): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  const all = { "bootstrap-peers": relay.address, ...flags };
  const a = stack.use(await startTestDaemon({ flags: all }));
  const b = stack.use(await startTestDaemon({ flags: all }));
  const card = { name: "Echo", skills: [{ id: "echo" }] };
  const agent = stack.use(new Node({ daemonAddr: b.daemon.grpcAddress, card }));
  const sender = stack.use(new Node({ daemonAddr: a.daemon.grpcAddress }));
  agent.onTask(handler);
  await agent.start();
  await sender.start();
  const owned = stack.move();
  return { a, sender, agent, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const pathTo = async (node: Node, peerId: string) =>
  (await node.listPeers()).find((peer) => peer.peerId === peerId)?.connection;

/** 16 MiB, of which `onHalf` is told. */
async function* content(onHalf: () => void): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < 16 * MIB; sent += CHUNK.length) {
    if (sent === 8 * MIB) onHalf();
    yield CHUNK;
  }
}

function hashOfContent(): string {
  const hash = createHash("sha256");
  for (let sent = 0; sent < 16 * MIB; sent += CHUNK.length) hash.update(CHUNK);
  return hash.digest("hex");
}

async function receivedHash(sender: Node, peerId: string): Promise<string> {
  const handle = await sender.sendTask("stream", { peerId });
  const hash = createHash("sha256");
  for await (const stream of handle.streams()) {
    for await (const chunk of stream) hash.update(chunk);
  }
  await handle.wait({ timeoutMs: PROGRAM_MS });
  return hash.digest("hex");
}

Deno.test({
  name: "tasks and a streamed artifact outlive a relay that is restarted in their middle",
  ...relayLeaks,
  async fn() {
    const seed = randomSeed();
    await using stack = new AsyncDisposableStack();
    let relay = await startTestRelay({ seed });
    stack.defer(() => relay[Symbol.asyncDispose]());
    const restart = async () => {
      const { port } = relay;
      await relay[Symbol.asyncDispose]();
      relay = await startTestRelay({ seed, port });
    };
    let restarted: Promise<void> | undefined;
    const { sender, agent } = stack.use(
      await startRelayed(relay, {
        flags: { "enable-quic": "false", "enable-hole-punching": "false" },
        handler: async (task) => {
          if (task.text === "stream") {
            await task.sendArtifact({ name: "big.bin", data: content(() => restarted ??= restart()) });
            await task.complete();
          } else await task.complete(task.text);
        },
      }),
    );
    const peerId = agent.peerId;
    const first = await sender.sendTask("first", { peerId });
    await first.wait({ timeoutMs: PROGRAM_MS });
    assert.equal(await pathTo(sender, peerId), "relay");
    const { supportedTransports, relayAddresses } = await sender.getCard(peerId);
    const circuit = `${relay.address}/p2p-circuit/p2p/${peerId}`;
    assert.deepEqual([supportedTransports, relayAddresses], [["tcp"], [circuit]]);
    const hash = receivedHash(sender, peerId);
    const handles = await Promise.all(
      Array.from({ length: 100 }, (_, i) => sender.sendTask(`task ${i}`, { peerId })),
    );
    for (const handle of handles) await handle.wait({ timeoutMs: PROGRAM_MS });
    assert.equal(await hash, hashOfContent());
    await restarted;
    assert.notEqual(restarted, undefined);
  },
});

Deno.test({
  name: "tasks and a streamed artifact move to the direct connection, and none is lost",
  ...relayLeaks,
  async fn() {
    await using relay = await startTestRelay();
    await using pair = await startRelayed(relay, {
      flags: { listen: "/ip4/127.0.0.1/udp/0/quic-v1/noise" },
      handler: async (task) => {
        if (task.text === "stream") {
          await task.sendArtifact({ name: "big.bin", data: content(() => {}) });
          await task.complete();
        } else await task.complete(task.text);
      },
    });
    const { sender, agent: { peerId } } = pair;
    const hash = receivedHash(sender, peerId);
    const paths = new Set<string | undefined>();
    for (let i = 0; !paths.has("direct"); i++) {
      const handle = await sender.sendTask(`task ${i}`, { peerId });
      await handle.wait({ timeoutMs: PROGRAM_MS });
      paths.add(await pathTo(sender, peerId));
    }
    const handles = await Promise.all(
      Array.from({ length: 50 }, (_, i) => sender.sendTask(`more ${i}`, { peerId })),
    );
    for (const handle of handles) await handle.wait({ timeoutMs: PROGRAM_MS });
    assert.equal(await hash, hashOfContent());
    assert.equal(await pathTo(sender, peerId), "direct");
  },
});

Deno.test({
  name: "a streamed artifact that is larger than what a circuit may carry goes on on the next circuit",
  ...relayLeaks,
  async fn() {
    await using relay = await startTestRelay({ maxBytes: BigInt(6 * MIB) });
    await using pair = await startRelayed(relay, {
      flags: { "enable-quic": "false", "enable-hole-punching": "false" },
      handler: async (task) => {
        await task.sendArtifact({ name: "big.bin", data: content(() => {}) });
        await task.complete();
      },
    });
    const { sender, agent: { peerId } } = pair;
    assert.equal(await receivedHash(sender, peerId), hashOfContent());
  },
});
