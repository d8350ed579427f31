// The SDK under Node.js and Bun: programs of their own that start the real daemon, on loopback alone.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DaemonScript } from "../support/daemon_script.ts";
import { findRuntimes } from "../support/npm_install.ts";
import { denoDir, loopbackEnv, RunningProgram, runProgram } from "../support/program.ts";
import { startReleaseSite } from "../support/release_site.ts";
import { bundleForNode } from "../support/system_node.ts";
import { type TempDir, tempDir } from "../support/temp_dir.ts";

const runtimes = await findRuntimes();
for (const { name, missing } of runtimes) {
  if (missing !== undefined) console.warn(`Skipping the tests of the SDK under ${name}: ${missing}`);
}
const folder = await Deno.makeTempDir({ prefix: "agentanycast_test_" });
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const program = await bundleForNode(join(import.meta.dirname ?? ".", "node_program.ts"), folder);

/** A home and the daemon that a program there starts. */
interface Home extends AsyncDisposable {
  readonly socket: string;
  readonly daemon: DaemonScript;
  readonly env: Record<string, string>;
}

async function makeHome(): Promise<Home> {
  await using stack = new AsyncDisposableStack();
  const dir: TempDir = stack.use(await tempDir());
  const daemon = stack.use(await DaemonScript.write(dir.path, "agentanycast"));
  daemon.watch();
  const env = {
    ...loopbackEnv(join(dir.path, "home")),
    AGENTANYCAST_BINARY: daemon.path,
    AGENTANYCAST_ENABLE_MDNS: "false",
  };
  const owned = stack.move();
  return {
    daemon,
    env,
    socket: join(dir.path, "home", "daemon.sock"),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

for (const { name, command, missing } of runtimes) {
  const test = (name: string, fn: () => Promise<void>) =>
    Deno.test({ name, ignore: missing !== undefined, fn });

  test(`Node exchanges tasks and ends with its daemon when both programs run under ${name}`, async () => {
    await using ours = await makeHome();
    await using theirs = await makeHome();
    await using agent = new RunningProgram([command, program, "agent"], theirs.env);
    const address = await agent.value("ADDRESS");
    const sent = await runProgram([command, program, "sender", address], { env: ours.env });
    assert.equal(sent.code, 0, sent.stderr);
    await ours.daemon.untilGone();
    const { card, ...outcome } = JSON.parse(sent.stdout);
    assert.deepEqual([card.name, card.skills[0].id], ["The agent", "echo"]);
    assert.deepEqual(outcome, {
      peerId: address.split("/p2p/")[1],
      said: [{ text: "Sent by The sender" }],
      artifacts: [{ artifactId: "1", name: "echo", parts: ["Grüße", { n: 1 }, [0, 255]] }],
      asked: "TaskInputRequiredError: Which one?",
      failed: "TaskFailedError: no paper",
      rejected: "TaskRejectedError: not my job",
      canceled: "TaskCanceledError",
      nobody: "submitted",
    });
    assert.match(await agent.value("ABORTED"), /^[\w-]+$/);
    const { code, stderr } = await agent.stop("SIGTERM");
    assert.equal(code, 0, stderr);
    assert.equal(agent.lines.at(-1), "SERVED=true");
    await theirs.daemon.untilGone();
    assert.equal(existsSync(theirs.socket), false);
    assert.deepEqual([sent.stderr, stderr], ["", ""]);
  });

  test(`Node ends its daemon when the program under ${name} exits without stop()`, async () => {
    await using home = await makeHome();
    const { code, stderr } = await runProgram([command, program, "leaver"], { env: home.env });
    assert.equal(code, 7, stderr);
    await home.daemon.untilGone();
    assert.equal(existsSync(home.socket), false);
  });

  test(`Node under ${name} downloads the daemon when there is none, checks it and runs it`, async () => {
    await using home = await makeHome();
    await using site = await startReleaseSite(await Deno.readFile(home.daemon.path));
    const env = {
      ...home.env,
      AGENTANYCAST_BINARY: "",
      AGENTANYCAST_RELEASE_URL: site.release.url,
      XDG_CACHE_HOME: site.release.folder,
      DENO_DIR: await denoDir(), // the daemon's own cache, which would follow
    };
    const refused = await runProgram([command, program, "leaver"], { env });
    assert.match(refused.stderr, /DaemonDownloadError: .*has no key that one could be checked by/);
    const trusting = { ...env, AGENTANYCAST_RELEASE_KEY: site.release.publicKey };
    const { code, stderr } = await runProgram([command, program, "leaver"], { env: trusting });
    assert.equal(code, 7, stderr);
    await home.daemon.untilGone();
  });

  test(`Node under ${name} says that an embedded one needs Deno`, async () => {
    await using home = await makeHome();
    const { code, stdout, stderr } = await runProgram([command, program, "embedded"], { env: home.env });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^DaemonStartError: .* runs on Deno only: leave out `mode`/);
  });
}
