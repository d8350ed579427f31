// The examples as their reader runs them, on loopback alone.
import assert from "node:assert/strict";
import process from "node:process";
import { join } from "node:path";
import { Node } from "../../sdk/mod.ts";
import { denoDir, loopbackEnv, RunningProgram, runProgram } from "../support/program.ts";
import { tempDir } from "../support/temp_dir.ts";

const EXAMPLES = join(import.meta.dirname ?? ".", "..", "..", "examples");
const example = (name: string) => [Deno.execPath(), "run", "-A", join(EXAMPLES, name)];

/** Waits for the daemon that an example has started on `home`. */
async function daemonOn(home: string): Promise<{ pid: number; address: string }> {
  for (;;) {
    const node = new Node({ daemonAddr: `unix://${join(home, "daemon.sock")}` });
    try {
      await node.start();
      const { pid, listenAddresses, card } = await node.info();
      if (pid !== undefined && card !== undefined) return { pid, address: listenAddresses[0] ?? "" };
    } catch (error) {
      assert.equal((error as { code?: string }).code, "unavailable");
    } finally {
      await node.stop();
    }
  }
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
