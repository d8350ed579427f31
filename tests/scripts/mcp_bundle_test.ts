import assert from "node:assert/strict";
import { join } from "node:path";
import { packMcpBundle } from "../../scripts/compile/mcp_bundle.ts";
import { run } from "../../scripts/compile/process.ts";
import { findTarget } from "../../scripts/compile/targets.ts";
import { tempDir } from "../support/temp_dir.ts";

const PROGRAM = { name: "agentanycast", version: "1.2.3", entry: "", config: "", unstable: [] };

Deno.test("packMcpBundle() makes a bundle that the official tool takes, with a program that can run", async () => {
  await using folder = await tempDir();
  const executable = join(folder.path, "program");
  await Deno.writeTextFile(executable, "#!/bin/sh\n", { mode: 0o755 });
  const file = join(folder.path, "agentanycast.mcpb");
  const target = findTarget("linux-x64");
  assert.ok(target);
  await packMcpBundle({ program: PROGRAM, executable, target }, { file, work: folder.path });
  const opened = join(folder.path, "opened");
  const { code, stderr } = await run([
    ...[Deno.execPath(), "run", "-A", "--quiet", "npm:@anthropic-ai/mcpb@2.1.2", "unpack", file, opened],
  ]);
  assert.equal(code, 0, stderr);
  const manifest = JSON.parse(await Deno.readTextFile(join(opened, "manifest.json")));
  assert.equal(manifest.version, "1.2.3");
  assert.deepEqual(manifest.server.mcp_config.args, ["mcp"]);
  assert.deepEqual(manifest.compatibility.platforms, ["linux"]);
  const { mode } = await Deno.stat(join(opened, manifest.server.entry_point));
  assert.equal((mode ?? 0) & 0o111, 0o111);
});

Deno.test("packMcpBundle() says why a bundle cannot be made", async () => {
  await using folder = await tempDir();
  const target = findTarget("linux-x64");
  assert.ok(target);
  const executable = join(folder.path, "program");
  await Deno.writeTextFile(executable, "");
  const broken = { ...PROGRAM, version: undefined as unknown as string };
  const packing = packMcpBundle({ program: broken, executable, target }, {
    file: join(folder.path, "a.mcpb"),
    work: folder.path,
  });
  await assert.rejects(packing, /Cannot pack .*a\.mcpb/);
});
