import assert from "node:assert/strict";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { CodedError } from "../../core/errors.ts";
import { findDaemon } from "../../sdk/daemon_binary.ts";
import { type DaemonChild, DaemonStart } from "../../sdk/daemon_start.ts";
import {
  DaemonNotFoundError,
  DaemonStartError,
  Node,
  type NodeOptions,
  type NodeStatus,
} from "../../sdk/mod.ts";
import { FAKE_PEER_ID, FakeDaemon } from "../support/fake_daemon.ts";
import { within } from "../support/patience.ts";

const FAKE_MAIN = new URL("../support/fake_daemon.ts", import.meta.url).pathname;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

interface Home extends AsyncDisposable {
  readonly path: string;
  /** Makes an executable shell script of this name in the folder. */
  script(name: string, body: string): Promise<string>;
  /** A program that records its arguments and environment, then is a daemon. */
  daemon(name?: string): Promise<string>;
  read(name: string): Promise<string>;
}

async function makeHome(): Promise<Home> {
  const path = await Deno.makeTempDir({ prefix: "home" });
  const script = async (name: string, body: string) => {
    const file = join(path, name);
    await mkdir(join(file, ".."), { recursive: true });
    await writeFile(file, `#!/bin/sh\n${body}\n`);
    await chmod(file, 0o755);
    return file;
  };
  return {
    path,
    script,
    daemon: (name = "fake") =>
      script(
        name,
        [
          `echo $$ >> '${path}/pids'`,
          `printf '%s\\n' "$@" > '${path}/argv'`,
          `env > '${path}/env'`,
          `exec '${Deno.execPath()}' run -A --no-check --config '${CONFIG}' '${FAKE_MAIN}' "$@"`,
        ].join("\n"),
      ),
    read: (name) => readFile(join(path, name), "utf8"),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

function makeNode(home: Home, options: NodeOptions = {}): Node & { statuses: NodeStatus[] } {
  const statuses: NodeStatus[] = [];
  const node = new Node({ home: home.path, onStatus: (status) => statuses.push(status), ...options });
  return Object.assign(node, { statuses });
}

async function pidsOf(home: Home): Promise<number[]> {
  return (await home.read("pids")).trim().split("\n").map(Number);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

Deno.test("Node.start() launches the daemon by its contract, and stop() ends it", async () => {
  await using home = await makeHome();
  const node = makeNode(home, {
    daemonPath: await home.daemon(),
    relay: "/ip4/127.0.0.1/tcp/1",
    bootstrapPeers: ["/ip4/127.0.0.1/tcp/2"],
    transport: "tcp",
    namespace: "team",
    enableMdns: false,
    registryAddrs: ["192.0.2.1:50052", "tls://registry.example:443"],
    logLevel: "debug",
  });
  await node.start();
  assert.equal(node.peerId, FAKE_PEER_ID);
  assert.deepEqual((await home.read("argv")).trim().split("\n"), [
    "daemon",
    `--home=${home.path}`,
    `--key=${home.path}/key`,
    `--grpc-listen=unix://${home.path}/daemon.sock`,
    "--log-level=debug",
    "--log-output=file",
    "--stop-with-stdin",
    "--bootstrap-peers=/ip4/127.0.0.1/tcp/1,/ip4/127.0.0.1/tcp/2",
    "--transport=tcp",
    "--namespace=team",
  ]);
  const env = await home.read("env");
  assert.match(env, /^AGENTANYCAST_ENABLE_MDNS=false$/m);
  assert.match(env, /^AGENTANYCAST_REGISTRY_ADDRS=192\.0\.2\.1:50052,tls:\/\/registry\.example:443$/m);
  assert.equal((await Deno.stat(join(home.path, "logs", "daemon.log"))).mode! & 0o777, 0o600);
  const [pid] = await pidsOf(home);
  assert.equal(isAlive(pid!), true);
  await node.stop();
  assert.equal(isAlive(pid!), false);
  assert.equal(existsSync(join(home.path, "daemon.sock")), false);
});

Deno.test("Node.start() launches again after stop()", async () => {
  await using home = await makeHome();
  await using node = makeNode(home, { daemonPath: await home.daemon() });
  await node.start();
  await node.stop();
  await node.start();
  assert.equal((await pidsOf(home)).length, 2);
});

Deno.test("Node.start() gives a program called agentanycastd neither verb nor home", async () => {
  await using home = await makeHome();
  await using node = makeNode(home, {
    daemonPath: await home.daemon("agentanycastd"),
    keyPath: "/nowhere/key",
  });
  await node.start();
  assert.deepEqual((await home.read("argv")).trim().split("\n"), [
    "--key=/nowhere/key",
    `--grpc-listen=unix://${home.path}/daemon.sock`,
    "--log-level=info",
  ]);
  assert.match(await home.read("env"), new RegExp(`^AGENTANYCAST_STORE_PATH=${home.path}/data$`, "m"));
});

Deno.test("Node.start() joins a daemon that runs in its home and does not stop it", async () => {
  await using home = await makeHome();
  await using daemon = await new FakeDaemon().start(`unix://${home.path}/daemon.sock`);
  const node = makeNode(home, { daemonPath: "/does/not/exist" });
  await node.start();
  assert.equal(node.statuses.at(-1)?.message, "Joined a running daemon");
  await node.stop();
  assert.equal(daemon.listeners, 0);
  const other = makeNode(home);
  await other.start();
  await other.stop();
});

Deno.test("Node.start() is not stopped by the socket of a killed daemon", async () => {
  await using home = await makeHome();
  await using node = makeNode(home, { daemonPath: await home.daemon() });
  await node.start();
  const [pid] = await pidsOf(home);
  process.kill(pid!, "SIGKILL");
  await node.stop();
  assert.equal(existsSync(join(home.path, "daemon.sock")), true);
  await node.start();
  assert.equal((await pidsOf(home)).length, 2);
});

Deno.test("Node.start() joins the other daemon when two start at the same moment", async () => {
  await using home = await makeHome();
  const daemonPath = await home.script(
    "race",
    [
      `if mkdir '${home.path}/lock' 2>/dev/null; then`,
      `exec '${await home.daemon()}' "$@"; fi`,
      "exit 11",
    ].join("\n"),
  );
  const nodes = [makeNode(home, { daemonPath }), makeNode(home, { daemonPath })];
  await Promise.all(nodes.map((node) => node.start()));
  const messages = nodes.map((node) => node.statuses.at(-1)?.message).sort();
  assert.deepEqual(messages, ["Joined a running daemon", "Ready"]);
  await Promise.all(nodes.map((node) => node.stop()));
});

Deno.test("Node.start() tells how a daemon ended that did not come up", async () => {
  await using home = await makeHome();
  const daemonPath = await home.script("broken", "echo 'key file is damaged' >&2\nexit 3");
  const error = await makeNode(home, { daemonPath }).start().catch((error) => error);
  assert.ok(error instanceof DaemonStartError);
  assert.match(error.message, /exit code 3\nkey file is damaged/);
});

Deno.test("Node.start() stops a daemon that does not answer in time", async () => {
  await using home = await makeHome();
  const daemonPath = await home.script("mute", `echo $$ > '${home.path}/pids'\nexec sleep 600`);
  const error = await makeNode(home, { daemonPath, startTimeoutMs: 200 }).start().catch((error) => error);
  assert.ok(error instanceof DaemonStartError);
  assert.match(error.message, /200 ms/);
  assert.equal(isAlive((await pidsOf(home))[0]!), false);
});

Deno.test("Node.start() tells why a daemon's log cannot be shown, and how it ended all the same", async () => {
  await using home = await makeHome();
  const daemonPath = await home.script("broken", `rm -r '${home.path}/logs'\nexit 3`);
  const error = await makeNode(home, { daemonPath }).start().catch((error) => error);
  assert.ok(error instanceof DaemonStartError);
  assert.match(error.message, /exit code 3\n\(its log cannot be read: ENOENT/);
});

Deno.test("DaemonStart tells every few seconds that it waits, and starts again after longer and longer pauses where another process has the home", () => {
  const child = { ended: undefined as string | undefined, lostHome: false, logTail: () => "the log" };
  const launched: number[] = [];
  let nowMs = 0;
  const launch = () => {
    launched.push(nowMs);
    return child as DaemonChild;
  };
  const told: string[] = [];
  const onWait = (message: string) => told.push(message);
  const start = new DaemonStart(launch, { home: "/h", startTimeoutMs: 60_000, onWait }, nowMs);
  const runUntil = (endMs: number) => {
    for (; nowMs <= endMs; nowMs += 500) start.check(nowMs);
  };
  runUntil(10_000);
  Object.assign(child, { ended: "exit code 11", lostHome: true });
  runUntil(35_000);
  assert.deepEqual(told, [
    "The daemon does not answer yet, after 5 s",
    "The daemon does not answer yet, after 10 s",
    ...[15, 20, 25, 30, 35].map((s) =>
      `Another process has the home /h and does not answer yet, after ${s} s`
    ),
  ]);
  assert.deepEqual(launched.slice(0, 5), [0, 11_500, 14_000, 18_500, 23_000]);
  assert.throws(() => runUntil(60_000), /answers nobody.*\nthe log/);
  Object.assign(child, { ended: "exit code 3", lostHome: false });
  assert.throws(() => start.check(nowMs), { name: "DaemonStartError", message: /exit code 3\nthe log/ });
});

Deno.test("Node tells when the daemon is of another version, also when that lacks something", async () => {
  await using home = await makeHome();
  await using _daemon = await new FakeDaemon({
    getNodeInfo: () => ({ nodeInfo: { peerId: FAKE_PEER_ID, version: "9.8.7" } }),
    discover: () => {
      throw new CodedError("unimplemented", "No such call");
    },
  }).start(`unix://${home.path}/daemon.sock`);
  await using node = makeNode(home, { daemonPath: "/does/not/exist" });
  await node.start();
  assert.match(
    node.statuses.at(-1)?.message ?? "",
    /^Joined a running daemon: the daemon is of version 9\.8\.7, this SDK of \S+, .*`agentanycast stop --home /,
  );
  await assert.rejects(node.discover("any"), {
    code: "unimplemented",
    message: /^No such call \(the daemon at .* is of version 9\.8\.7, this SDK of /,
  });
});

Deno.test("Node.stop() during the start takes the daemon down too", async () => {
  await using home = await makeHome();
  const daemonPath = await home.script("mute", `echo $$ > '${home.path}/pids'\nexec sleep 600`);
  const node = makeNode(home, { daemonPath });
  const starting = node.start().catch((error) => error);
  await node.stop();
  assert.equal((await starting).code, "cancelled");
  if (existsSync(join(home.path, "pids"))) assert.equal(isAlive((await pidsOf(home))[0]!), false);
});

Deno.test("Node leaves no daemon behind when its process exits without stop()", async () => {
  await using home = await makeHome();
  const code = `
    import { Node } from ${JSON.stringify(new URL("../../sdk/mod.ts", import.meta.url).href)};
    await new Node({ home: Deno.args[0], daemonPath: Deno.args[1] }).start();
    Deno.exit(0);
  `;
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--config", CONFIG, code, home.path, await home.daemon()],
    stderr: "inherit",
  }).output();
  assert.equal(output.code, 0);
  await untilGone(join(home.path, "daemon.sock"));
});

/** Resolves when nobody listens on the socket: a connection that is let be ends with its daemon. */
async function untilGone(path: string): Promise<void> {
  try {
    using connection = await Deno.connect({ transport: "unix", path });
    while (await within(`the end of ${path}`, connection.read(new Uint8Array(1_024))) !== null);
  } catch (error) {
    assert.ok(
      [Deno.errors.NotFound, Deno.errors.ConnectionRefused, Deno.errors.ConnectionReset].some((gone) =>
        error instanceof gone
      ),
      String(error),
    );
  }
}

Deno.test("Node.start() says what is wrong with a home that cannot be written to, also while it starts again", async () => {
  await using home = await makeHome();
  const daemonPath = await home.daemon();
  await writeFile(join(home.path, "file"), "");
  const node = new Node({ home: join(home.path, "file"), daemonPath });
  const unusable = {
    name: "DaemonStartError",
    message: /Cannot use the home .*file: .* Set `home` to a folder/,
  };
  await assert.rejects(node.start(), unusable);
  await using other = makeNode(home, { daemonPath, reconnectMs: 200 });
  await other.start();
  const served = other.serveForever();
  await Deno.rename(join(home.path, "logs"), join(home.path, "moved"));
  await writeFile(join(home.path, "logs"), "");
  process.kill((await pidsOf(home))[0] ?? 0, "SIGKILL");
  await assert.rejects(served, { name: "DaemonStartError", message: /Cannot use the home/ });
  assert.equal(other.statuses.at(-1)?.state, "failed");
});

Deno.test("Node.start() refuses a home whose socket path is too long", async () => {
  const node = new Node({ home: "/tmp/" + "x".repeat(120) });
  await assert.rejects(node.start(), { name: "AgentAnycastError", code: "invalid_argument" });
});

Deno.test("findDaemon() takes a named program only when it can be run", async () => {
  await using home = await makeHome();
  const program = await home.script("any", "true");
  const env = { AGENTANYCAST_BINARY: program };
  assert.deepEqual(findDaemon({ home: home.path, daemonPath: program, env: {} }), {
    program,
    args: ["daemon"],
  });
  assert.deepEqual(findDaemon({ home: home.path, env }), { program, args: ["daemon"] });
  const missing = join(home.path, "missing");
  assert.throws(() => findDaemon({ home: home.path, daemonPath: missing, env }), DaemonNotFoundError);
  assert.throws(
    () => findDaemon({ home: home.path, env: { AGENTANYCAST_BINARY: missing } }),
    DaemonNotFoundError,
  );
  await chmod(program, 0o644);
  assert.throws(() => findDaemon({ home: home.path, env }), DaemonNotFoundError);
});

Deno.test("findDaemon() prefers the packed program it is part of", async () => {
  await using home = await makeHome();
  const program = await home.script("packed", "true");
  const env = { AGENTANYCAST_SELF: program, PATH: "" };
  assert.deepEqual(findDaemon({ home: home.path, env }), { program, args: ["daemon"] });
});
