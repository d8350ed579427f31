import assert from "node:assert/strict";
import { join } from "node:path";
import type { FullDiskReport } from "../support/fault_disk.ts";
import { runProgram } from "../support/program.ts";
import { tempDir } from "../support/temp_dir.ts";

const ROOT = join(import.meta.dirname ?? ".", "..", "..");
const DISK_MIB = 6;

/** A command that runs `$0 "$@"` with a small file system of its own, which nobody else sees, at `disk`. */
function onSmallDisk(disk: string, command: readonly string[]): string[] {
  const mount = `mount -t tmpfs -o size=${DISK_MIB}m tmpfs '${disk}' && exec "$0" "$@"`;
  const namespaces = Deno.uid() === 0 ? "-m" : "-rm";
  return ["unshare", namespaces, "sh", "-c", mount, ...command];
}

/** Why there can be no small disk here, or undefined. */
async function obstacle(): Promise<string | undefined> {
  await using dir = await tempDir();
  try {
    const { code, stderr } = await runProgram(onSmallDisk(dir.path, ["true"]));
    return code === 0 ? undefined : stderr.trim() || `unshare ended with ${code}`;
  } catch (error) {
    return String(error);
  }
}

const missing = await obstacle();
if (missing !== undefined) {
  console.warn(`Not tested: a full disk; no file system can be mounted here: ${missing}`);
}

Deno.test({
  name: "a daemon on a full disk refuses tasks, keeps those it has, and goes on when there is room",
  ignore: missing !== undefined,
  async fn() {
    await using dir = await tempDir();
    const disk = join(dir.path, "disk");
    await Deno.mkdir(disk);
    const script = join(ROOT, "tests/support/fault_disk.ts");
    const deno = [Deno.execPath(), "run", "-A", "--quiet", "--config", join(ROOT, "deno.json"), script];
    const { code, stdout, stderr } = await runProgram(
      onSmallDisk(disk, [...deno, disk, join(dir.path, "home")]),
    );
    assert.equal(code, 0, stderr);
    const { refusal, accepted, ...rest }: FullDiskReport = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
    assert.equal(refusal.code, "unavailable", refusal.message);
    assert.match(refusal.message, /disk|space|full/i);
    assert.deepEqual(rest, {
      kept: accepted,
      keptAfterRestart: accepted,
      recovered: true,
      received: true,
      invented: 0,
    });
  },
});
