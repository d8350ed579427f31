// What an embedded node makes of failures around it.
import assert from "node:assert/strict";
import { createLogger } from "../../core/log.ts";
import { createIdentity } from "../../identity/mod.ts";
import { logLibraryRejections, MemoryDisk, MemoryNetwork } from "../../sdk/embedded.ts";
import { Node } from "../../sdk/mod.ts";
import { withParts } from "../../sdk/node_parts.ts";
import { FakeClock } from "../../sdk/testing/fake_clock.ts";

/** Whether the program is told of a rejection that nobody waits for, made at `frame`. */
function reachesProgram(frame: string): boolean {
  const reason = new Error("slip");
  reason.stack = `Error: slip\n    at work (file://${frame}:1:2)`;
  const promise = Promise.resolve();
  return globalThis.dispatchEvent(
    new PromiseRejectionEvent("unhandledrejection", { promise, reason, cancelable: true }),
  );
}

Deno.test("logLibraryRejections() takes those of the network's libraries, wherever packages are kept, and no others", () => {
  const lines: string[] = [];
  using _guard = logLibraryRejections(createLogger({ format: "json", write: (line) => lines.push(line) }));
  assert.equal(reachesProgram("/home/me/libp2p/agent.ts"), true);
  assert.equal(reachesProgram("/home/me/@libp2p/agent.ts"), true);
  assert.deepEqual(lines, []);
  for (
    const frame of [
      "/home/me/.cache/deno/npm/registry.npmjs.org/@libp2p/tcp/11.0.28/dist/src/index.js",
      "/app/node_modules/.deno/libp2p@3.3.11/node_modules/libp2p/dist/src/index.js",
      "/tmp/app/.deno_compile_node_modules/localhost/@chainsafe/x/1.0.0/index.js",
    ]
  ) assert.equal(reachesProgram(frame), false, frame);
  assert.equal(lines.length, 3);
});

/** A node in memory whose store is opened by `openStore`; `hosts` says how often its host was opened. */
function memoryNode(openStore: (disk: MemoryDisk) => ReturnType<MemoryDisk["openStore"]>) {
  const clock = new FakeClock(0);
  const network = new MemoryNetwork(clock);
  const disk = new MemoryDisk();
  const identity = createIdentity(new Uint8Array(32));
  const { peerId } = identity;
  let hosts = 0;
  const node = new Node(withParts({ mode: "embedded", home: "/memory/one" }, {
    clock,
    identity,
    toml: undefined,
    openStore: () => openStore(disk),
    openSpool: () => disk.openSpool(),
    openHost: (deps) => {
      hosts++;
      return network.open({ ...deps, peerId });
    },
  }));
  return { node, peerId, hosts: () => hosts, [Symbol.dispose]: () => network[Symbol.dispose]() };
}

Deno.test("Node can be started again when something could not be closed at its stop", async () => {
  let isBroken = true;
  using rig = memoryNode(async (disk) => {
    const store = await disk.openStore();
    return {
      ...store,
      [Symbol.asyncDispose]: async () => {
        await store[Symbol.asyncDispose]();
        if (isBroken) throw new Error("the disk is gone");
      },
    };
  });
  const { node, peerId } = rig;
  await node.start();
  await assert.rejects(node.stop(), /the disk is gone/);
  isBroken = false;
  await node.start();
  assert.equal(node.peerId, peerId);
  await node.stop();
});

Deno.test("Node.stop() ends the start of an embedded node on its way, which can be started again", async () => {
  let stopped: Promise<void> | undefined;
  using rig = memoryNode(async (disk) => {
    const store = await disk.openStore();
    stopped ??= rig.node.stop();
    return store;
  });
  await assert.rejects(rig.node.start(), { code: "cancelled" });
  await stopped;
  assert.equal(rig.hosts(), 0);
  await rig.node.start();
  assert.equal(rig.hosts(), 1);
  await rig.node.stop();
});
