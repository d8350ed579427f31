import assert from "node:assert/strict";
import { join } from "node:path";
import { DaemonStartError, Node, type NodeOptions, type NodeStatus, type TaskHandle } from "../../sdk/mod.ts";
import { PATIENCE_MS } from "../support/patience.ts";
import { RunningProgram } from "../support/program.ts";
import { tempDir } from "../support/temp_dir.ts";
import { startTestDaemon } from "../support/test_daemon.ts";

const PROGRAM = new URL("embedded_program.ts", import.meta.url).pathname;
const SDK = new URL("../../sdk/mod.ts", import.meta.url).pathname;
const CONFIG = 'listen_addrs = ["/ip4/127.0.0.1/tcp/0"]\nenable_mdns = false\n';
const ECHO = { name: "Echo", skills: [{ id: "echo" }] };

/** A folder whose nodes stay on loopback. */
async function makeHome(config = CONFIG): Promise<AsyncDisposable & { path: string }> {
  const home = await tempDir();
  await Deno.writeTextFile(join(home.path, "config.toml"), config);
  return home;
}

interface Pair extends AsyncDisposable {
  readonly agent: Node;
  readonly sender: Node;
}

/** Two embedded nodes with homes of their own; the sender has connected to the agent. */
async function startPair(options: NodeOptions = {}): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  const [theirs, ours] = [stack.use(await makeHome()), stack.use(await makeHome())];
  const agent = stack.use(new Node({ mode: "embedded", home: theirs.path, card: ECHO, ...options }));
  const sender = stack.use(new Node({ mode: "embedded", home: ours.path }));
  await agent.start();
  await sender.start();
  await sender.connectPeer((await agent.info()).listenAddresses[0] ?? "");
  const owned = stack.move();
  return { agent, sender, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function resultOf(handle: TaskHandle): Promise<string | undefined> {
  return (await handle.wait({ timeoutMs: PATIENCE_MS })).artifacts[0]?.parts[0]?.text;
}

Deno.test("Node embedded exchanges tasks with another one of the same program", async () => {
  await using pair = await startPair();
  pair.agent.onTask((task) => task.complete(`Echo: ${task.text}`), { skill: "echo" });
  const handle = await pair.sender.sendTask("hi", { skill: "echo" });
  assert.equal(await resultOf(handle), "Echo: hi");
  assert.equal((await pair.sender.getCard(pair.agent.peerId)).name, "Echo");
  assert.deepEqual((await pair.sender.listTasks()).map(({ taskId }) => taskId), [handle.taskId]);
});

Deno.test("Node embedded asks back, and tells failures and cancellations", async () => {
  await using pair = await startPair({ exclusive: true });
  const aborted = Promise.withResolvers<void>();
  pair.agent.onTask(async (task) => {
    if (task.text === "fail") throw new Error("no paper");
    if (task.text === "hang") {
      return await new Promise((resolve) =>
        task.signal.addEventListener("abort", () => {
          aborted.resolve();
          resolve();
        })
      );
    }
    const answer = await task.ask("Which one?");
    await task.complete(`took ${answer.parts[0]?.text}`);
  });
  const { peerId } = pair.agent;
  const handle = await pair.sender.sendTask("choose", { peerId });
  await assert.rejects(handle.wait(), { name: "TaskInputRequiredError", message: "Which one?" });
  await handle.reply("the red one");
  assert.equal(await resultOf(handle), "took the red one");
  const failing = await pair.sender.sendTask("fail", { peerId });
  await assert.rejects(failing.wait(), { name: "TaskFailedError", message: "no paper" });
  const hanging = await pair.sender.sendTask("hang", { peerId });
  for await (const { status } of hanging.events()) if (status === "working") break;
  await hanging.cancel();
  await aborted.promise;
});

Deno.test("Node embedded streams artifacts of more than a window, and tells a source that breaks", async () => {
  await using pair = await startPair();
  const data = crypto.getRandomValues(new Uint8Array(60_000));
  const broken = Promise.withResolvers<unknown>();
  pair.agent.onTask(async (task) => {
    const whole = async function* () {
      for (let piece = 0; piece < 50; piece++) yield await Promise.resolve(data);
    };
    const breaking = async function* () {
      yield await Promise.resolve(data);
      throw new Error("disk gone");
    };
    await task.sendArtifact({ name: "whole", data: whole });
    await task.sendArtifact({ name: "broken", data: breaking() }).catch(broken.resolve);
    await task.complete();
  });
  const handle = await pair.sender.sendTask("go", { peerId: pair.agent.peerId });
  let bytes = 0;
  for await (const stream of handle.streams()) {
    if (stream.name !== "whole") continue; // a broken one may end before anything of it has left
    for await (const chunk of stream) bytes += chunk.length;
  }
  assert.equal(bytes, 3_000_000);
  assert.match(String(await broken.promise), /disk gone/);
  await handle.wait();
});

Deno.test("Node embedded shares nothing with its engine that either side could change", async () => {
  await using pair = await startPair();
  pair.agent.onTask((task) => {
    const [part] = task.messages[0]?.parts ?? [];
    part?.raw?.fill(9); // what a handler does with its input is its own affair
    Object.assign(part?.data ?? {}, { spoilt: true });
    return task.requestInput("And?");
  });
  const raw = Uint8Array.of(1, 2, 3);
  const { peerId } = pair.agent;
  const handle = await pair.sender.sendTask([{ raw }, { data: { n: 1 } }], { peerId });
  raw.fill(0);
  await assert.rejects(handle.wait(), { name: "TaskInputRequiredError" });
  for (const node of [pair.sender, pair.agent]) {
    const { messages } = await node.getTask(handle.taskId);
    assert.deepEqual([...messages[0]?.parts[0]?.raw ?? []], [1, 2, 3]);
    assert.deepEqual(messages[0]?.parts[1]?.data, { n: 1 });
  }
});

Deno.test("Node embedded goes on after a restart with the tasks it had", async () => {
  await using pair = await startPair();
  const { agent, sender } = pair;
  const { peerId } = agent;
  const address = (await agent.info()).listenAddresses[0] ?? "";
  await agent.stop();
  const { taskId } = await sender.sendTask("hi", { peerId });
  await sender.stop();
  await sender.start();
  agent.onTask((task) => task.complete(`Echo: ${task.text}`));
  await agent.start();
  assert.equal(agent.peerId, peerId);
  const moved = (await agent.info()).listenAddresses[0] ?? "";
  assert.notEqual(moved, address);
  await sender.connectPeer(moved);
  assert.equal(await resultOf(await sender.getTaskHandle(taskId)), "Echo: hi");
});

Deno.test("Node embedded lets handlers finish when it stops, and ends what waits", async () => {
  await using pair = await startPair();
  const [begun, finish] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  pair.agent.onTask(async (task) => {
    begun.resolve();
    await finish.promise;
    await task.complete("in time");
  });
  const { peerId } = pair.agent;
  const handle = await pair.sender.sendTask("hi", { peerId });
  await begun.promise;
  const stopped = pair.agent.stop({ graceMs: 20_000 });
  finish.resolve();
  await stopped;
  await pair.agent.start(); // which tells the result as soon as it can
  assert.equal(await resultOf(handle), "in time");
  await pair.agent.stop();
  const waiting = (await pair.sender.sendTask("hi", { peerId })).wait();
  const rejected = assert.rejects(waiting, { code: "failed_precondition", message: "The node was stopped" });
  await pair.sender.stop();
  await rejected;
});

Deno.test("Node embedded refuses a home that is in use, and says by whom", async () => {
  await using home = await makeHome();
  const options: NodeOptions = { mode: "embedded", home: home.path };
  await using first = new Node(options);
  await first.start();
  const second = new Node(options);
  await assert.rejects(second.start(), (error) => {
    assert.ok(error instanceof DaemonStartError);
    assert.match(error.message, /another node of this program has this home/);
    return true;
  });
  await first.stop();
  {
    await using _daemon = await startTestDaemon({ home: home.path });
    await assert.rejects(second.start(), {
      message: /a daemon runs there .*mode "managed".*agentanycast stop/,
    });
  }
  await second.start();
  await second.stop();
});

Deno.test("Node embedded refuses a configuration that cannot be used, and leaves nothing open", async () => {
  await using home = await makeHome(`${CONFIG}log_levle = "info"\n`);
  const node = new Node({ mode: "embedded", home: home.path });
  await assert.rejects(node.start(), { code: "invalid_argument", message: /did you mean "log_level"/ });
  assert.equal(node.isRunning, false);
});

Deno.test("Node embedded logs to a file of its home, or to the program", async () => {
  await using home = await makeHome();
  const statuses: NodeStatus["state"][] = [];
  const onStatus = ({ state }: NodeStatus) => void statuses.push(state);
  await using node = new Node({ mode: "embedded", home: home.path, onStatus });
  await node.start();
  await node.stop();
  const log = await Deno.readTextFile(join(home.path, "logs", "agentanycast.log"));
  assert.match(log, /INFO {2}Node started inside its program/);
  const lines: string[] = [];
  const onLog = (line: string) => void lines.push(line);
  await using talking = new Node({ mode: "embedded", home: home.path, onLog, logLevel: "debug" });
  await talking.start();
  assert.ok(lines.some((line) => /INFO {2}Node started/.test(line)), lines.join("\n"));
  await talking.stop();
  assert.equal(await Deno.readTextFile(join(home.path, "logs", "agentanycast.log")), log);
  assert.deepEqual(statuses, ["starting", "ready", "stopped"]);
});

Deno.test("new Node() refuses options that do not go together", () => {
  const refused: [NodeOptions, RegExp][] = [
    [{ mode: "attached" }, /needs daemonAddr/],
    [
      { mode: "embedded", daemonAddr: "unix:///x" },
      /daemonAddr is for attached nodes and this one is embedded/,
    ],
    [{ mode: "managed", daemonAddr: "unix:///x" }, /daemonAddr is for attached/],
    [{ mode: "embedded", daemonPath: "/x" }, /daemonPath is for managed/],
    [{ mode: "embedded", download: false }, /download is for managed/],
    [{ mode: "attached", daemonAddr: "unix:///x", releaseUrl: "https://x" }, /releaseUrl is for managed/],
    [{ onLog: () => {} }, /onLog is for embedded/],
  ];
  for (const [options, message] of refused) {
    assert.throws(
      () => new Node(options),
      (error) => error instanceof TypeError && message.test(error.message),
    );
  }
  assert.throws(() => new Node({ mode: "sidecar" as "managed" }), RangeError);
  new Node({ mode: "attached", daemonAddr: "unix:///x" });
});

Deno.test("Node embedded ends with its program, and what it had is there after a kill", async () => {
  await using home = await makeHome();
  const run = ["run", "-A", "--quiet", PROGRAM, home.path];
  await using ending = new RunningProgram([Deno.execPath(), ...run]);
  await ending.value("STOPPED");
  assert.deepEqual({ ...await ending.child.status }, { success: true, code: 0, signal: null });
  await using staying = new RunningProgram([Deno.execPath(), ...run, "stay"]);
  const taskId = await staying.value("TASK");
  staying.child.kill("SIGTERM"); // which nobody handles: signals are the program's
  assert.equal((await staying.child.status).signal, "SIGTERM");
  await using node = new Node({ mode: "embedded", home: home.path });
  await node.start();
  assert.equal((await node.getTask(taskId)).status, "submitted");
});

Deno.test("The SDK loads the daemon only when a node is to be embedded", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json", SDK] }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: Module[] };
  const loaded = new Set([`file://${SDK}`]);
  for (const specifier of loaded) {
    const { dependencies = [] } = modules.find((one) => one.specifier === specifier) ?? {};
    for (const { isDynamic, code } of dependencies) {
      if (!isDynamic && code?.specifier !== undefined) loaded.add(code.specifier);
    }
  }
  assert.ok(loaded.size > 50, "the graph was read");
  const strangers = [...loaded].filter((url) =>
    /\/(a2a|daemon|p2p|kv|mcp|http)\/[^/]+\.ts|libp2p|embedded\.ts/.test(url)
  );
  assert.deepEqual(strangers, []);
});

interface Module {
  readonly specifier: string;
  readonly dependencies?: readonly { isDynamic?: boolean; code?: { specifier?: string } }[];
}
