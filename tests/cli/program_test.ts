import { deepEqual, equal, match, ok } from "node:assert/strict";
import { tempDir } from "../support/temp_dir.ts";
import { ProgramRun, runProgram } from "./cli_harness.ts";

/** Starts a daemon that serves on loopback; answers its run and its first address. */
async function startServing(argv: readonly string[], env: Record<string, string> = {}) {
  const program = new ProgramRun(argv, { env });
  const [, address = ""] = await program.stdoutLine(/^LISTEN_ADDR=(.+)$/);
  return { program, address };
}

Deno.test("send() gets the answer of the demo agent, from a home without a daemon and from one with", async () => {
  await using dir = await tempDir();
  const [agent, client] = [`${dir.path}/agent`, `${dir.path}/client`];
  const { program, address } = await startServing([
    ...["demo", "--home", agent, "--listen", "/ip4/127.0.0.1/tcp/0", "--log-output", "file"],
  ]);
  await using demo = program;
  const [call = ""] = await demo.stdoutLine(/^ {2}agentanycast send .*/);
  ok(call.includes(address), call);

  const sent = await runProgram([
    "send",
    address,
    "Hello\u0007\tthere",
    "--home",
    client,
    "--metadata",
    "a=b",
  ]);
  equal(sent.code, 0, sent.stderr);
  equal(sent.stdout, "Echo: Hello\\x07\tthere\n");
  match(sent.stderr, /^\d\.\d s {2}submitted$/m);
  match(sent.stderr, /^\d\.\d s {2}completed$/m);
  await demo.stdoutLine(/^[0-9a-f]{8} {2}\d+\.\d ms {2}Hello.* -> {2}Echo: Hello/);

  const json = await runProgram(["send", address, "-", "--json", "--home", client], { stdin: "from stdin" });
  equal(json.code, 0, json.stderr);
  const task = JSON.parse(json.stdout);
  equal(task.status, "completed");
  equal(task.artifacts[0].parts[0].text, "Echo: from stdin");

  const calls = ["1", "2"].map((text) => runProgram(["send", address, text, "--no-wait", "--home", client]));
  for (const one of await Promise.all(calls)) { // they share a home: one waits for the other
    equal(one.code, 0, one.stderr);
    match(one.stdout, /^[0-9a-f-]{36}\n$/);
  }
  const got = await runProgram(["task", "get", task.taskId, "--json", "--home", client]);
  deepEqual(JSON.parse(got.stdout).artifacts, task.artifacts);
  const list = await runProgram(["task", "list", "--json", "--direction", "inbound", "--home", agent]);
  deepEqual(JSON.parse(list.stdout).map((one: { status: string }) => one.status), Array(4).fill("completed"));
  const card = await runProgram(["card", address, "--json", "--home", client]);
  equal(JSON.parse(card.stdout).skills[0].id, "echo");
  equal((await runProgram(["status", "--home", client])).code, 3); // nothing was left behind
  deepEqual((await Array.fromAsync(Deno.readDir(client), ({ name }) => name)).sort(), [
    "artifacts",
    "data",
    "key",
  ]);

  const status = await runProgram(["status", "--json", "--home", agent]);
  const { running, addresses, pid, card: own } = JSON.parse(status.stdout);
  deepEqual([running, addresses, pid, own.name], [true, [address], demo.pid, "Echo Agent"]);
  const stopped = await runProgram(["stop", "--home", agent]);
  equal(stopped.code, 0, stopped.stderr);
  equal((await demo.ended()).code, 0);
});

Deno.test("send() queues the task of an unreachable peer, and tells by its exit code that it is not done in time", async () => {
  await using dir = await tempDir();
  const { program, address } = await startServing(["daemon", "--home", `${dir.path}/a`]);
  await using daemon = program;
  const late = await runProgram(["send", address, "x", "--timeout", "2", "--home", `${dir.path}/b`]);
  equal(late.code, 4, late.stderr);
  match(late.stderr, /the task goes on\. Look at it later: agentanycast task get [0-9a-f-]{36} --home/);
  daemon.kill("SIGTERM");
  equal((await daemon.ended()).code, 0);
  const away = await runProgram(["send", address, "x", "--timeout", "4", "--home", `${dir.path}/b`]);
  equal(away.code, 4, away.stderr);
  match(away.stderr, /^The peer has not been reached yet; .* agentanycast task get [0-9a-f-]{36} --home/m);
  equal(away.stdout, "");
  const [, taskId = ""] = /task get (\S+)/.exec(away.stderr) ?? [];
  const cancel = await runProgram(["task", "cancel", taskId, "--home", `${dir.path}/b`]);
  match(cancel.stdout, /is canceled|cancellation .* is requested/); // it may or may not be known to have left
});

Deno.test("send() says how to look at the task later when it is interrupted", async () => {
  await using dir = await tempDir();
  await using daemon = new ProgramRun(["daemon", "--home", `${dir.path}/a`]);
  const [, address = ""] = await daemon.stdoutLine(/^LISTEN_ADDR=(.+)$/);
  await using send = new ProgramRun(["send", address, "x", "--home", `${dir.path}/b`]);
  await send.stderrLine(/submitted/);
  send.kill("SIGINT");
  const { code, stdout, stderr } = await send.ended();
  equal(code, 130, stderr);
  equal(stdout, "");
  const [, taskId = ""] = /task get (\S+)/.exec(stderr) ?? [];
  const cancel = await runProgram(["task", "cancel", taskId, "--home", `${dir.path}/b`]);
  equal(cancel.code, 0, cancel.stderr);
  match(cancel.stdout, /is canceled/);
});

Deno.test("daemon() under the name agentanycastd meets what existing SDKs expect", async () => {
  await using dir = await tempDir();
  const home = dir.path;
  await Deno.mkdir(`${home}/logs`);
  await using daemon = new ProgramRun([
    `--key=${home}/key`,
    `--grpc-listen=unix://${home}/daemon.sock`,
    "--log-level=info",
    "--transport=auto",
    "--namespace=default",
  ], {
    env: {
      AGENTANYCAST_ARGV0: "agentanycastd",
      AGENTANYCAST_HOME: home,
      AGENTANYCAST_STORE_PATH: `${home}/data`,
    },
  });
  const [, peerId = ""] = await daemon.stdoutLine(/^PEER_ID=(12D3KooW\w+)$/);
  await daemon.stdoutLine(/^LISTEN_ADDR=/);
  const status = await runProgram(["status", "--json", "--home", home]);
  equal(JSON.parse(status.stdout).peerId, peerId);
  daemon.kill("SIGTERM");
  const { code, stdout, stderr } = await daemon.ended();
  equal(code, 0);
  equal(stderr, "");
  match(
    stdout,
    new RegExp(`^PEER_ID=${peerId}\n(LISTEN_ADDR=/ip4/127\\.0\\.0\\.1/tcp/\\d+/p2p/${peerId}\n)+$`),
  );
  match(await Deno.readTextFile(`${home}/logs/agentanycast.log`), /Daemon started/);
  equal((await runProgram(["status", "--home", home])).code, 3);
});

Deno.test("daemon() under the name agentanycastd has its home beside its socket, unless the home is named", async () => {
  await using dir = await tempDir();
  const folder = await Deno.realPath(dir.path);
  const start = (socketFolder: string, env: Record<string, string>) =>
    new ProgramRun([`--grpc-listen=unix://${socketFolder}/daemon.sock`], {
      env: { AGENTANYCAST_ARGV0: "agentanycastd", ...env },
    });
  const homeOf = async (socketFolder: string) => {
    const { stdout, stderr } = await runProgram(["status", "--json", "--home", socketFolder]);
    equal(stderr, "");
    return JSON.parse(stdout).home;
  };
  const namesIn = async (path: string) =>
    (await Array.fromAsync(Deno.readDir(path), ({ name }) => name)).sort();

  await using beside = start(`${folder}/a`, { AGENTANYCAST_HOME: "" });
  await beside.stdoutLine(/^LISTEN_ADDR=/);
  equal(await homeOf(`${folder}/a`), `${folder}/a`);
  deepEqual(await namesIn(`${folder}/a`), ["artifacts", "daemon.sock", "data", "key", "logs"]);

  await Deno.mkdir(`${folder}/b`);
  await using named = start(`${folder}/b`, { AGENTANYCAST_HOME: `${folder}/home` });
  await named.stdoutLine(/^LISTEN_ADDR=/);
  equal(await homeOf(`${folder}/b`), `${folder}/home`);
  deepEqual(await namesIn(`${folder}/b`), ["daemon.sock"]);
  deepEqual(await namesIn(`${folder}/home`), ["artifacts", "data", "key", "logs"]);
});

Deno.test("daemon() stops when its stdin ends and not before, when it is called with --stop-with-stdin", async () => {
  await using dir = await tempDir();
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const stdin = writable.getWriter();
  await using daemon = new ProgramRun(["daemon", "--home", dir.path, "--stop-with-stdin"], {
    stdin: readable,
  });
  await daemon.stdoutLine(/^LISTEN_ADDR=/);
  await stdin.write(new TextEncoder().encode("stop\n")); // what is said does not matter
  const status = await runProgram(["status", "--json", "--home", dir.path]);
  deepEqual([status.code, JSON.parse(status.stdout).pid], [0, daemon.pid]);
  await stdin.close();
  equal((await daemon.ended()).code, 0);
  match(await Deno.readTextFile(`${dir.path}/logs/agentanycast.log`), /INFO +Stopping\n.*$/);
  equal((await runProgram(["status", "--home", dir.path])).code, 3);
});

Deno.test("daemon() fails when it cannot start, and leaves the one that runs alone", async () => {
  await using dir = await tempDir();
  const { program } = await startServing(["daemon", "--home", dir.path]);
  await using daemon = program;
  const second = await runProgram(["daemon", "--home", dir.path]);
  equal(second.code, 11, second.stderr);
  match(second.stderr, new RegExp(`process ${daemon.pid} is using it`));
  equal(second.stdout, "");
  const bad = await runProgram(["daemon", "--home", `${dir.path}/other`, "--listen", "/ip4/nonsense"]);
  equal(bad.code, 2, bad.stderr);
  equal((await runProgram(["status", "--home", dir.path])).code, 0);
  daemon.kill("SIGINT");
  equal((await daemon.ended()).code, 0);
});

Deno.test("daemon() goes on when nobody reads its stdout", async () => {
  await using dir = await tempDir();
  const { program } = await startServing(["daemon", "--home", dir.path]);
  await using daemon = program;
  await daemon.closeStdout();
  equal((await runProgram(["card", "set", "-", "--home", dir.path], { stdin: '{"name":"N"}' })).code, 0);
  equal(JSON.parse((await runProgram(["card", "--json", "--home", dir.path])).stdout).name, "N");
  equal((await runProgram(["stop", "--home", dir.path])).code, 0);
  equal((await daemon.ended()).code, 0);
});

Deno.test("logs() follows the daemon's log until it is interrupted, and ends quietly when its reader does", async () => {
  await using dir = await tempDir();
  await Deno.mkdir(`${dir.path}/logs`);
  const path = `${dir.path}/logs/agentanycast.log`;
  await Deno.writeTextFile(path, "one\ntwo\n");
  await using logs = new ProgramRun(["logs", "-f", "-n", "1", "--home", dir.path]);
  await logs.stdoutLine(/^two$/);
  await Deno.writeTextFile(path, "three\n", { append: true });
  await logs.stdoutLine(/^three$/);
  logs.kill("SIGTERM");
  deepEqual(await logs.ended(), { code: 0, stdout: "two\nthree\n", stderr: "" });

  await using json = new ProgramRun(["logs", "-f", "-n", "1", "--json", "--home", dir.path]);
  await json.stdoutLine(/^\{"line":"three"\}$/);
  await Deno.writeTextFile(path, 'fo"ur\n', { append: true });
  await json.stdoutLine(/^\{"line":"fo\\"ur"\}$/);

  await using unread = new ProgramRun(["logs", "-f", "--home", dir.path]);
  await unread.stdoutLine(/^fo"ur$/);
  await unread.closeStdout();
  let running = true;
  const ended = unread.ended().finally(() => running = false);
  // Again and again: the pipe may still take what is written right after it was closed.
  while (running) await Deno.writeTextFile(path, "five\n", { append: true });
  const { code, stderr } = await ended;
  deepEqual([code, stderr], [0, ""]);
});

/** Modules that `roots` import when they are loaded, without those that are imported later. */
async function loadedModules(root: URL): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json", root.href] })
    .output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
    modules: { specifier: string; dependencies?: { code?: { specifier?: string }; isDynamic?: boolean }[] }[];
  };
  const found = new Set<string>();
  const visit = (specifier: string) => {
    if (found.has(specifier)) return;
    found.add(specifier);
    const { dependencies = [] } = modules.find((module) => module.specifier === specifier) ?? {};
    for (const { code, isDynamic } of dependencies) {
      if (code?.specifier !== undefined && !isDynamic) visit(code.specifier);
    }
  };
  visit(root.href);
  const checkout = new URL("../..", import.meta.url).href;
  return [...found].map((specifier) => specifier.replace(checkout, ""));
}

Deno.test("main.ts and verbs without a network load no daemon and no client", async () => {
  const files = [
    "main.ts",
    "cli/verbs/version.ts",
    "cli/verbs/completion.ts",
    "cli/verbs/info.ts",
    "cli/verbs/status.ts",
  ];
  for (const file of files) {
    const loaded = await loadedModules(new URL(`../../${file}`, import.meta.url));
    ok(loaded.length >= 3, file);
    deepEqual(loaded.filter((specifier) => /^(sdk|daemon|p2p|kv)\/|grpc|libp2p/.test(specifier)), [], file);
  }
});
