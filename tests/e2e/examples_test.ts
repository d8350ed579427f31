// The examples as their reader runs them, on loopback alone.
import assert from "node:assert/strict";
import process from "node:process";
import { join } from "node:path";
import { Node } from "../../sdk/mod.ts";
import { untilHolds } from "../support/patience.ts";
import { denoDir, loopbackEnv, RunningProgram, runProgram } from "../support/program.ts";
import { tempDir } from "../support/temp_dir.ts";

const EXAMPLES = join(import.meta.dirname ?? ".", "..", "..", "examples");
const example = (name: string) => [Deno.execPath(), "run", "-A", join(EXAMPLES, name)];

/** Waits for the daemon that an example has started on `home`. */
async function daemonOn(home: string): Promise<{ pid: number; address: string }> {
  let found: { pid: number; address: string } | undefined;
  await untilHolds(async () => {
    const node = new Node({ daemonAddr: `unix://${join(home, "daemon.sock")}` });
    try {
      await node.start();
      const { pid, listenAddresses, card } = await node.info();
      if (pid !== undefined && card !== undefined) found = { pid, address: listenAddresses[0] ?? "" };
    } catch (error) {
      assert.equal((error as { code?: string }).code, "unavailable");
    } finally {
      await node.stop();
    }
    return found !== undefined;
  });
  return found!;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // there is no such process
  }
}

Deno.test("ask.ts gets its answer from echo_agent.ts, whose daemon ends with it even at kill -9", async () => {
  await using dir = await tempDir();
  const home = join(dir.path, "agent");
  await using agent = new RunningProgram(example("echo_agent.ts"), loopbackEnv(home));
  const { pid, address } = await daemonOn(home);
  const env = { ...loopbackEnv(""), HOME: dir.path, DENO_DIR: await denoDir() };
  const asked = await runProgram([...example("ask.ts"), address, "hello"], { env });
  assert.deepEqual([asked.code, asked.stdout, asked.stderr], [0, "Echo: hello\n", ""]);
  await agent.stop("SIGKILL");
  while (isAlive(pid));
});

Deno.test("embedded_echo.ts answers another embedded node, and leaves no daemon behind", async () => {
  await using dir = await tempDir();
  const home = join(dir.path, "agent");
  await using agent = new RunningProgram(example("embedded_echo.ts"), {
    ...loopbackEnv(home),
    AGENTANYCAST_ENABLE_MDNS: "false",
  });
  const address = await agent.value("ADDRESS");
  const own = join(dir.path, "asker");
  await Deno.mkdir(own, { mode: 0o700 });
  await Deno.writeTextFile(
    join(own, "config.toml"),
    'listen_addrs = ["/ip4/127.0.0.1/tcp/0"]\nenable_mdns = false\n',
  );
  await using node = new Node({ mode: "embedded", home: own });
  await node.start();
  const { peerId } = await node.connectPeer(address);
  const handle = await node.sendTask("hello", { peerId, targetSkill: "echo" });
  assert.equal((await handle.wait()).artifacts[0]?.parts[0]?.text, "Echo: hello");
  await assert.rejects(Deno.stat(join(home, "daemon.sock")), Deno.errors.NotFound);
});
