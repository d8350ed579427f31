// What a user of the SDK meets when something is wrong around them: programs under Node.js, each with a home of its own.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DaemonScript } from "../support/daemon_script.ts";
import { denoDir, loopbackEnv, RunningProgram, runProgram } from "../support/program.ts";
import { FILE, startReleaseSite } from "../support/release_site.ts";
import { bundleForNode, findSystemNode } from "../support/system_node.ts";
import { tempDir } from "../support/temp_dir.ts";

const node = await findSystemNode(20);
if ("missing" in node) console.warn(`Skipping the failure tour: ${node.missing}`);
const folder = await Deno.makeTempDir({ prefix: "agentanycast_test_" });
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
await Deno.chmod(folder, 0o755); // for programs of other users
const program = await bundleForNode(join(import.meta.dirname ?? ".", "..", "sdk", "node_program.ts"), folder);

/** The exit code of a node that has started, by the role `leaver`. */
const STARTED = 7;
const NOBODY_UID = 65534;

function tour(name: string, fn: () => Promise<void>, { ignore = false } = {}): void {
  Deno.test({ name: `Failure tour: ${name}`, ignore: ignore || "missing" in node, fn });
}

/** A machine without agentanycast: an empty home and an empty cache. */
async function emptyMachine(path: string): Promise<Record<string, string>> {
  return {
    ...loopbackEnv(join(path, "home")),
    AGENTANYCAST_BINARY: "",
    AGENTANYCAST_ENABLE_MDNS: "false",
    XDG_CACHE_HOME: join(path, "cache"),
    DENO_DIR: await denoDir(), // the daemon's own cache, which would follow
  };
}

const start = (env: Record<string, string>) => runProgram(["node", program, "leaver"], { env });

tour(
  "no network at download says where was looked and what to do, and a program named by hand will do",
  async () => {
    await using dir = await tempDir();
    await using daemon = await DaemonScript.write(dir.path, "agentanycast");
    const site = await startReleaseSite(new Uint8Array(1));
    const env = {
      ...await emptyMachine(dir.path),
      AGENTANYCAST_RELEASE_URL: site.release.url,
      AGENTANYCAST_RELEASE_KEY: site.release.publicKey,
    };
    await site[Symbol.asyncDispose]();
    const { code, stderr } = await start(env);
    assert.equal(code, 1);
    const expected = new RegExp(
      `DaemonDownloadError: No agentanycast program on this machine, and ${site.release.url}${FILE} could not be downloaded to ` +
        `.*ECONNREFUSED.*Without a network: put the program on PATH, or set daemonPath`,
    );
    assert.match(stderr, expected);
    daemon.watch();
    const named = await start({ ...env, AGENTANYCAST_BINARY: daemon.path });
    assert.equal(named.code, STARTED, named.stderr);
    await daemon.untilGone();
  },
);

tour("a tampered program is refused and never run, and the good one after it is", async () => {
  await using dir = await tempDir();
  await using daemon = await DaemonScript.write(dir.path, "agentanycast");
  const good = await Deno.readFile(daemon.path);
  await using site = await startReleaseSite(good);
  const env = {
    ...await emptyMachine(dir.path),
    AGENTANYCAST_RELEASE_URL: site.release.url,
    AGENTANYCAST_RELEASE_KEY: site.release.publicKey,
  };
  const trace = join(dir.path, "was_run");
  site.files.set(FILE, new TextEncoder().encode(`#!/bin/sh\ntouch '${trace}'\n`));
  const { code, stderr } = await start(env);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /DaemonDownloadError: Cannot use .*its SHA-256 is not the signed one\. Nothing of it was run/,
  );
  assert.equal(existsSync(trace), false);
  site.files.set(FILE, good);
  daemon.watch();
  assert.equal((await start(env)).code, STARTED);
  await daemon.untilGone();
});

tour("a download that breaks off again and again goes on where it was with the next start", async () => {
  await using dir = await tempDir();
  await using daemon = await DaemonScript.write(dir.path, "agentanycast");
  const good = await Deno.readFile(daemon.path);
  await using site = await startReleaseSite(good);
  site.cuts.push(9, 9, 9);
  const env = {
    ...await emptyMachine(dir.path),
    AGENTANYCAST_RELEASE_URL: site.release.url,
    AGENTANYCAST_RELEASE_KEY: site.release.publicKey,
  };
  const { code, stderr } = await start(env);
  assert.equal(code, 1);
  assert.match(stderr, /DaemonDownloadError: No agentanycast program on this machine/);
  daemon.watch();
  assert.equal((await start(env)).code, STARTED);
  await daemon.untilGone();
  assert.match(site.requests.at(-1) ?? "", / bytes=[1-9]\d*-$/);
});

tour("a home that this user may not write to is named, with what to do", async () => {
  await using dir = await tempDir();
  const home = join(dir.path, "home");
  await Deno.mkdir(home, { mode: 0o755 });
  await Deno.chmod(dir.path, 0o755);
  await Deno.chmod(home, 0o555);
  await using daemon = await DaemonScript.write(dir.path, "agentanycast");
  const env = { ...await emptyMachine(dir.path), AGENTANYCAST_HOME: home, AGENTANYCAST_BINARY: daemon.path };
  // Root may write anywhere.
  const user = Deno.uid() === 0 ? ["setpriv", `--reuid=${NOBODY_UID}`, "--clear-groups"] : [];
  const { code, stderr } = await runProgram([...user, "node", program, "leaver"], { env });
  assert.equal(code, 1);
  assert.match(
    stderr,
    new RegExp(`DaemonStartError: Cannot use the home ${home}: EACCES.*Set .home. to a folder`),
  );
}, { ignore: Deno.build.os !== "linux" });

tour("two programs that start the same home at once share one daemon", async () => {
  await using dir = await tempDir();
  await using daemon = await DaemonScript.write(dir.path, "agentanycast");
  const env = { ...await emptyMachine(dir.path), AGENTANYCAST_BINARY: daemon.path };
  daemon.watch();
  await using one = new RunningProgram(["node", program, "agent"], env);
  await using other = new RunningProgram(["node", program, "agent"], env);
  assert.equal(await one.value("ADDRESS"), await other.value("ADDRESS"));
  for (const twin of [one, other]) {
    const { code, stderr } = await twin.stop("SIGTERM");
    assert.deepEqual([code, stderr], [0, ""]);
  }
  await daemon.untilGone();
});
