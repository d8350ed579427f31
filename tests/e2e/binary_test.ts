// The one-file executable as its users meet it: real processes, real sockets, on loopback alone.
import assert from "node:assert/strict";
import { join } from "node:path";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { type IncomingTask, Node } from "../../sdk/mod.ts";
import { createRpcClient } from "../../rpc/rpc_client.ts";
import { PROGRAM_MS, untilHolds } from "../support/patience.ts";
import { buildExecutable, loopbackEnv, RunningProgram, runProgram } from "../support/program.ts";
import { startReleaseSite } from "../support/release_site.ts";
import { bundleForNode, findSystemNode } from "../support/system_node.ts";
import { tempDir } from "../support/temp_dir.ts";

const FOLDER = join(import.meta.dirname ?? ".", "..", "..", "dist", "e2e");
const program = await buildExecutable(FOLDER);
const node = await findSystemNode(20);
if ("missing" in node) console.warn(`Skipping the download of the executable by Node.js: ${node.missing}`);
const cache = { AGENTANYCAST_CACHE_DIR: join(FOLDER, "cache") };

/** Environment of a daemon on `home`, found by nobody else's daemon. */
function envOf(
  home: string,
  service = `_${crypto.randomUUID().slice(0, 8)}._udp.local`,
): Record<string, string> {
  return { ...cache, ...loopbackEnv(home), AGENTANYCAST_MDNS_SERVICE_TAG: service };
}

function start(verb: string, home: string, flags: readonly string[] = [], env = envOf(home)): RunningProgram {
  return new RunningProgram([program, verb, ...flags], env);
}

async function ready(daemon: RunningProgram): Promise<{ peerId: string; address: string }> {
  return { peerId: await daemon.value("PEER_ID"), address: await daemon.value("LISTEN_ADDR") };
}

const socketOf = (home: string) => `unix://${join(home, "daemon.sock")}`;

async function attach(home: string): Promise<Node> {
  const node = new Node({ daemonAddr: socketOf(home) });
  await node.start();
  return node;
}

Deno.test("version prints the version under both names", async () => {
  await using dir = await tempDir();
  const { version } = JSON.parse(await Deno.readTextFile(join(FOLDER, "..", "..", "deno.json")));
  const link = join(dir.path, "agentanycastd");
  await Deno.symlink(program, link);
  assert.equal((await runProgram([program, "version"], { env: cache })).stdout, `agentanycast ${version}\n`);
  assert.equal((await runProgram([link, "-version"], { env: cache })).stdout, `agentanycastd ${version}\n`);
});

Deno.test("agentanycastd honours the launch contract of the existing SDKs", async () => {
  await using dir = await tempDir();
  const home = dir.path;
  const link = join(home, "agentanycastd");
  await Deno.symlink(program, link);
  const argv = [
    `--key=${home}/key`,
    `--grpc-listen=unix://${home}/daemon.sock`,
    "--log-level=info",
    "--transport=auto",
    "--namespace=default",
  ];
  const env = { ...envOf(join(home, "elsewhere")), AGENTANYCAST_STORE_PATH: `${home}/data` };
  await using daemon = new RunningProgram([link, ...argv], env);
  const { peerId, address } = await ready(daemon);
  assert.match(address, new RegExp(`^/ip4/127\\.0\\.0\\.1/tcp/\\d+/p2p/${peerId}$`));
  using rpc = createRpcClient(socketOf(home));
  const { nodeInfo } = await rpc.unary(NodeService.method.getNodeInfo, {});
  assert.equal(nodeInfo?.peerId, peerId);
  assert.deepEqual((await Deno.stat(join(home, "key"))).size, 68);
  const { code, stderr } = await daemon.stop();
  assert.equal(code, 0, stderr);
  await assert.rejects(Deno.lstat(join(home, "daemon.sock")), Deno.errors.NotFound);
});

Deno.test("two homes find each other with no configuration and a task comes back", async () => {
  await using dir = await tempDir();
  const [home, other] = [join(dir.path, "a"), join(dir.path, "b")];
  const service = `_${crypto.randomUUID().slice(0, 8)}._udp.local`;
  await using agent = start("demo", home, [], envOf(home, service));
  await using daemon = start("daemon", other, [], envOf(other, service));
  const { peerId } = await ready(agent);
  await ready(daemon);
  await using node = await attach(other);
  await untilHolds(async () => (await node.listPeers()).some((peer) => peer.peerId === peerId));
  const env = envOf(other, service);
  const sent = await runProgram([program, "send", peerId, "hello", "--skill", "echo"], { env });
  assert.equal(sent.code, 0, sent.stderr);
  assert.equal(sent.stdout.trim(), "Echo: hello");
  const piped = await runProgram([program, "send", peerId, "-", "--json"], { env, stdin: "from a pipe" });
  const task = JSON.parse(piped.stdout);
  assert.equal(task.status, "completed");
  assert.match(piped.stdout, /Echo: from a pipe/);
  const listed = await runProgram([program, "task", "list", "--json"], { env });
  assert.equal(JSON.parse(listed.stdout).length, 2);
  const stopped = await runProgram([program, "stop"], { env });
  assert.equal(stopped.code, 0, stopped.stderr);
  assert.equal((await daemon.stop()).code, 0);
});

Deno.test("a send without a daemon runs its own and leaves no process behind", async () => {
  await using dir = await tempDir();
  const [home, other] = [join(dir.path, "a"), join(dir.path, "b")];
  await using agent = start("demo", home);
  const { address } = await ready(agent);
  const sent = await runProgram([program, "send", address, "hello"], { env: envOf(other) });
  assert.equal(sent.code, 0, sent.stderr);
  assert.equal(sent.stdout.trim(), "Echo: hello");
  const status = await runProgram([program, "status", "--json"], { env: envOf(other) });
  assert.deepEqual([status.code, JSON.parse(status.stdout).running], [3, false]);
});

Deno.test("an accepted task survives kill -9 of both daemons and ends completed", async () => {
  await using dir = await tempDir();
  const [home, other] = [join(dir.path, "agent"), join(dir.path, "sender")];
  let receiver = start("daemon", home);
  const { peerId, address } = await ready(receiver);
  const flags = ["--bootstrap-peers", address];
  let sender = start("daemon", other, flags);
  await ready(sender);

  const taken = Promise.withResolvers<IncomingTask>();
  await using agent = await attach(home);
  agent.onTask((task) => {
    taken.resolve(task);
    return new Promise<void>(() => {/* answered by hand below */});
  });
  let taskId: string;
  {
    await using client = await attach(other);
    await untilHolds(async () => (await client.listPeers()).some((peer) => peer.peerId === peerId));
    ({ taskId } = await client.sendTask("keep this", { peerId }));
    await taken.promise;
    await sender.stop("SIGKILL");
    await receiver.stop("SIGKILL");
  }
  const port = address.match(/\/tcp\/(\d+)/)?.[1];
  receiver = start("daemon", home, ["--listen", `/ip4/127.0.0.1/tcp/${port}`]);
  sender = start("daemon", other, flags);
  await using _receiver = receiver;
  await using _sender = sender;
  await ready(receiver);
  await ready(sender);
  using rpc = createRpcClient(socketOf(home));
  const artifacts = [{
    artifactId: "1",
    name: "kept",
    parts: [{ content: { case: "textPart" as const, value: { text: "kept" } } }],
  }];
  await rpc.unary(NodeService.method.completeTask, { taskId, artifacts });
  await using client = await attach(other);
  const task = await (await client.getTaskHandle(taskId)).wait({ timeoutMs: PROGRAM_MS });
  assert.equal(task.artifacts[0]?.parts[0]?.text, "kept");
});

Deno.test("a second daemon on the home of a first one names its process and exits", async () => {
  await using dir = await tempDir();
  await using first = start("daemon", dir.path);
  await ready(first);
  const second = await runProgram([program, "daemon"], { env: envOf(dir.path) });
  assert.equal(second.code, 11);
  assert.match(second.stderr, new RegExp(`\\b${first.child.pid}\\b`));
  assert.equal(second.stdout, "");
});

Deno.test("bad input ends with a sentence and a code of its own", async () => {
  await using dir = await tempDir();
  const home = (name: string) => join(dir.path, name);
  const write = async (name: string, bytes: Uint8Array, mode: number) => {
    await Deno.mkdir(home(name), { mode: 0o700 });
    await Deno.writeFile(join(home(name), "key"), bytes, { mode });
    await Deno.chmod(join(home(name), "key"), mode);
  };
  await write("corrupt", new Uint8Array(17), 0o600);
  await write("loose", new Uint8Array(32), 0o644);
  const cases: { args: string[]; home: string; says: RegExp; code?: number }[] = [
    { args: ["daemon"], home: "corrupt", says: /key/ },
    { args: ["daemon"], home: "loose", says: /chmod 600/ },
    { args: ["daemon", "--colour"], home: "x", says: /--colour/, code: 2 },
    { args: ["daemon", "--nats-broker", "nats://127.0.0.1"], home: "x", says: /not available/, code: 2 },
    { args: ["daemon", "--listen", "/ip4/127.0.0.1/nonsense"], home: "y", says: /nonsense/ },
    { args: ["daemon", "--grpc-listen", "tcp://0.0.0.0:0"], home: "z", says: /0\.0\.0\.0/ },
    { args: ["snd"], home: "x", says: /send/, code: 2 },
    { args: ["send", "not-a-peer", "hi"], home: "x", says: /not-a-peer/ },
    {
      args: [
        "send",
        "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
        "hi",
        "--timeout",
        "4",
      ],
      home: "w",
      says: /has not been reached yet; the task is kept.*task get/s,
      code: 4,
    },
  ];
  for (const { args, home: name, says, code } of cases) {
    const result = await runProgram([program, ...args], { env: envOf(home(name)) });
    const what = `${args.join(" ")}: exit ${result.code}\n${result.stderr}`;
    assert.notEqual(result.code, 0, what);
    if (code !== undefined) assert.equal(result.code, code, what);
    assert.match(result.stderr, says, what);
    assert.doesNotMatch(result.stderr, /^ +at /m, what);
  }
});

Deno.test("a stale socket is replaced and a signal while starting ends the daemon", async () => {
  await using dir = await tempDir();
  const killed = start("daemon", dir.path);
  await ready(killed);
  await killed.stop("SIGKILL");
  await Deno.lstat(join(dir.path, "daemon.sock"));
  await using again = start("daemon", dir.path);
  await ready(again);
  assert.equal((await again.stop("SIGINT")).code, 0);
});

Deno.test("the executable backs a home up while its daemon runs, and restores it", async () => {
  await using dir = await tempDir();
  const [home, restored] = [join(dir.path, "home"), join(dir.path, "restored")];
  const copy = join(dir.path, "backup");
  await using daemon = start("daemon", home);
  const { peerId } = await ready(daemon);
  for (const [verb, env] of [["backup", envOf(home)], ["restore", envOf(restored)]] as const) {
    const { code, stdout, stderr } = await runProgram([program, "home", verb, copy, "--json"], { env });
    assert.equal(code, 0, stderr);
    assert.equal(JSON.parse(stdout).peerId, peerId);
  }
  assert.equal((await daemon.stop("SIGTERM")).code, 0);
  await using again = start("daemon", restored);
  assert.equal((await ready(again)).peerId, peerId);
});

Deno.test({
  name: "Nodes under Node.js download the executable of a release once, and exchange tasks with it",
  ignore: "missing" in node,
  fn: async () => {
    await using dir = await tempDir();
    const user = await bundleForNode(
      join(import.meta.dirname ?? ".", "..", "sdk", "node_program.ts"),
      dir.path,
    );
    await using site = await startReleaseSite(await Deno.readFile(program));
    const env = (home: string) => ({
      ...envOf(join(dir.path, home)),
      AGENTANYCAST_BINARY: "",
      AGENTANYCAST_RELEASE_URL: site.release.url,
      AGENTANYCAST_RELEASE_KEY: site.release.publicKey,
      XDG_CACHE_HOME: dir.path,
    });
    await using agent = new RunningProgram(["node", user, "agent"], env("agent"));
    const address = await agent.value("ADDRESS");
    const sent = await runProgram(["node", user, "sender", address], { env: env("sender") });
    assert.equal(sent.code, 0, sent.stderr);
    assert.equal(JSON.parse(sent.stdout).artifacts[0].parts[0], "Grüße");
    const { code, stderr } = await agent.stop("SIGTERM");
    assert.deepEqual([code, stderr], [0, ""]);
    assert.deepEqual(site.requests, ["SHA256SUMS", "SHA256SUMS.sig", site.release.file]);
  },
});
