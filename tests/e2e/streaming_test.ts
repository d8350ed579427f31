// Artifacts that are streamed from an agent through two daemons to the sender of the task, on good and on bad days.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import {
  type IncomingTask,
  Node,
  TaskCanceledError,
  type TaskHandle,
  TaskStreamError,
} from "../../sdk/mod.ts";
import { loopbackEnv, RunningProgram } from "../support/program.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp_proxy.ts";
import { tempDir } from "../support/temp_dir.ts";
import { startTestPair } from "../support/test_daemon.ts";

const MAIN = join(import.meta.dirname ?? ".", "..", "..", "main.ts");
const MIB = 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;
const TOTAL_BYTES = 32 * MIB;
/** What the windows of sender (8 MiB) and receiver (8 MiB) and all buffers on the way may hold together. */
const MOST_UNREAD_BYTES = 26 * MIB;

/** Pseudo-random bytes, chunk by chunk: the same for the same length. */
function* randomChunks(totalBytes: number): Generator<Uint8Array<ArrayBuffer>> {
  let state = 0x9e3779b9;
  for (let sent = 0; sent < totalBytes; sent += CHUNK_BYTES) {
    const words = new Uint32Array(CHUNK_BYTES / 4);
    for (let at = 0; at < words.length; at++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[at] = state;
    }
    yield new Uint8Array(words.buffer, 0, Math.min(CHUNK_BYTES, totalBytes - sent));
  }
}

function hashOf(chunks: Iterable<Uint8Array>): string {
  const hash = createHash("sha256");
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest("hex");
}

async function* slowly(
  chunks: Iterable<Uint8Array>,
  onTaken = (_bytes: number) => {},
): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    onTaken(chunk.length);
    yield chunk;
  }
}

/** An agent and the sender of its tasks, at their daemons. */
async function startNodes(
  addresses: { agent: string; sender: string },
  handler: (task: IncomingTask) => Promise<void>,
): Promise<{ agent: Node; sender: Node } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const card = { name: "Streams", skills: [{ id: "stream" }] };
  const agent = stack.use(new Node({ daemonAddr: addresses.agent, card }));
  const sender = stack.use(new Node({ daemonAddr: addresses.sender }));
  agent.onTask(handler);
  await agent.start();
  await sender.start();
  const owned = stack.move();
  return { agent, sender, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** An agent and a sender at two daemons of this process, connected. */
async function startPair(
  handler: (task: IncomingTask) => Promise<void>,
): Promise<{ send(): Promise<TaskHandle>; sender: Node } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const { a, b } = stack.use(await startTestPair());
  const addresses = { sender: a.daemon.grpcAddress, agent: b.daemon.grpcAddress };
  const { sender, agent } = stack.use(await startNodes(addresses, handler));
  const owned = stack.move();
  return {
    sender,
    send: () => sender.sendTask("stream", { peerId: agent.peerId }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function startDaemon(home: string, port = "0"): RunningProgram {
  const env = { ...loopbackEnv(home), AGENTANYCAST_LISTEN_ADDRS: `/ip4/127.0.0.1/tcp/${port}` };
  const args = ["run", "-A", MAIN, "daemon", "--enable-mdns=false", "--log-level=error"];
  return new RunningProgram([Deno.execPath(), ...args], env);
}

const portOf = (address: string) => address.split("/")[4] ?? "";

/** Two daemons in processes of their own, the sender's behind `port`, and a faulty link from it to the agent's. */
interface Processes extends AsyncDisposable {
  readonly proxy: TcpProxy;
  readonly handle: TaskHandle;
  /** Kills the sender's daemon and starts it again. */
  restart(): Promise<void>;
}

async function startProcesses(): Promise<Processes> {
  await using stack = new AsyncDisposableStack();
  const homes = { agent: stack.use(await tempDir()).path, sender: stack.use(await tempDir()).path };
  const far = stack.use(startDaemon(homes.agent));
  let near = startDaemon(homes.sender);
  stack.defer(() => near[Symbol.asyncDispose]());
  const [address, nearAddress] = [await far.value("LISTEN_ADDR"), await near.value("LISTEN_ADDR")];
  const proxy = stack.use(startTcpProxy({ targetPort: Number(portOf(address)) }));
  const addresses = {
    agent: `unix://${homes.agent}/daemon.sock`,
    sender: `unix://${homes.sender}/daemon.sock`,
  };
  const { agent, sender } = stack.use(
    await startNodes(addresses, async (task) => {
      await task.sendArtifact({ name: "random.bin", data: slowly(randomChunks(TOTAL_BYTES)) });
      await task.complete();
    }),
  );
  await sender.connectPeer(address.replace(portOf(address), String(proxy.port)));
  const handle = await sender.sendTask("stream", { peerId: agent.peerId });
  const owned = stack.move();
  return {
    proxy,
    handle,
    async restart() {
      await near.stop("SIGKILL");
      near = startDaemon(homes.sender, portOf(nearAddress));
      await near.value("LISTEN_ADDR");
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The hash of the one streamed artifact; `onQuarter` is waited for where a quarter of it has been read. */
async function readHash(handle: TaskHandle, onQuarter: () => Promise<void>): Promise<string> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const stream of handle.streams()) {
    for await (const chunk of stream) {
      hash.update(chunk);
      const before = bytes;
      bytes += chunk.length;
      if (before < TOTAL_BYTES / 4 && bytes >= TOTAL_BYTES / 4) await onQuarter();
    }
  }
  assert.equal(bytes, TOTAL_BYTES);
  return hash.digest("hex");
}

/** The hash of the file that a completed task has as its one artifact. */
async function fileHash(handle: TaskHandle): Promise<string> {
  const { artifacts } = await handle.wait();
  assert.equal(artifacts.length, 1);
  const part = artifacts[0]?.parts[0];
  const hash = hashOf([await Deno.readFile(fileURLToPath(part?.url ?? ""))]);
  assert.deepEqual([part?.metadata?.sha256, part?.metadata?.bytes], [hash, String(TOTAL_BYTES)]);
  return hash;
}

const expected = hashOf(randomChunks(TOTAL_BYTES));

Deno.test("a streamed artifact arrives whole at its reader and in the task when the link is cut in the middle", async () => {
  await using net = await startProcesses();
  const read = await readHash(net.handle, async () => {
    assert.ok(net.proxy.open > 0);
    net.proxy.setMode({ kind: "cut" });
    assert.ok(net.proxy.counts.cut > 0);
    net.proxy.setMode({ kind: "pass" });
    await Promise.resolve();
  });
  assert.equal(read, expected);
  assert.equal(await fileHash(net.handle), expected);
});

Deno.test("a streamed artifact arrives whole at its reader and in the task when the receiving daemon is killed", async () => {
  await using net = await startProcesses();
  const read = await readHash(net.handle, () => net.restart());
  assert.equal(read, expected);
  assert.equal(await fileHash(net.handle), expected);
});

Deno.test("a sender who cancels stops the agent in the middle of its artifact", async () => {
  const failed = Promise.withResolvers<unknown>();
  const aborted = Promise.withResolvers<void>();
  await using net = await startPair(async (task) => {
    task.signal.addEventListener("abort", () => aborted.resolve(), { once: true });
    await task.sendArtifact({ data: slowly(randomChunks(1024 * MIB)) }).catch(failed.resolve);
  });
  const handle = await net.send();
  await assert.rejects(async () => {
    for await (const stream of handle.streams()) {
      for await (const _ of stream) {
        await handle.cancel();
        break;
      }
      for await (const _ of handle.events()) { /* until it has ended */ }
    }
    await handle.wait();
  }, TaskCanceledError);
  assert.ok(await failed.promise instanceof TaskStreamError);
  await aborted.promise;
});

Deno.test("a reader who does not read holds the agent, and gets the whole artifact later", async () => {
  let taken = 0;
  let onTaken = () => {};
  await using net = await startPair(async (task) => {
    const data = slowly(randomChunks(2 * TOTAL_BYTES), (bytes) => {
      taken += bytes;
      onTaken();
    });
    await task.sendArtifact({ data });
    await task.complete();
  });
  const handle = await net.send();
  const hash = createHash("sha256");
  let read = 0;
  for await (const stream of handle.streams()) {
    for await (const chunk of stream) {
      hash.update(chunk);
      if (read === 0) {
        await new Promise<void>((resolve) => {
          onTaken = () => taken >= 12 * MIB && resolve();
          onTaken(); // it may have been taken already, and no more is then
        });
        // Time enough to send all of it several times over.
        for (let call = 0; call < 500; call++) await net.sender.listTasks({ limit: 1 });
        assert.ok(taken < MOST_UNREAD_BYTES, `${taken} bytes were taken from the agent`);
      }
      read += chunk.length;
    }
  }
  assert.equal(hash.digest("hex"), hashOf(randomChunks(2 * TOTAL_BYTES)));
});

Deno.test("a finished task has small artifacts as bytes and large ones as files, without any reader", async () => {
  const [small, large] = [new TextEncoder().encode("small"), new Uint8Array(2 * MIB).fill(7)];
  await using net = await startPair(async (task) => {
    await task.sendArtifact({ artifactId: "small", name: "small.txt", mediaType: "text/plain", data: small });
    await task.sendArtifact({ artifactId: "large", name: "large.bin", data: large });
    await task.complete();
  });
  const { artifacts } = await (await net.send()).wait();
  const [one, two] = artifacts.map(({ parts }) => parts[0]);
  assert.deepEqual(artifacts.map(({ artifactId }) => artifactId), ["small", "large"]);
  assert.deepEqual([new Uint8Array(one?.raw ?? []), one?.mediaType], [small, "text/plain"]);
  assert.equal(two?.metadata?.sha256, hashOf([large]));
  assert.deepEqual(new Uint8Array(await Deno.readFile(fileURLToPath(two?.url ?? ""))), large);
});
