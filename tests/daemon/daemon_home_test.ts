import assert from "node:assert/strict";
import { join } from "node:path";
import { resolveConfig } from "../../core/config.ts";
import { createLogger } from "../../core/log.ts";
import { startDaemon } from "../../daemon/mod.ts";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { tempDir } from "../support/temp_dir.ts";
import { startTestDaemon } from "../support/test_daemon.ts";

const modeOf = async (path: string) => ((await Deno.stat(path)).mode! & 0o777).toString(8);

/** Runs a daemon on `home` to its end; answers what it warned of. */
async function warningsOn(home: string): Promise<string[]> {
  const flags = { home, listen: "/ip4/127.0.0.1/tcp/0", "enable-mdns": "false" };
  const config = resolveConfig({ flags, env: {}, userHome: home, readFile: () => undefined });
  const lines: string[] = [];
  const logger = createLogger({ level: "warn", write: (line) => lines.push(line) });
  await using _ = await startDaemon(config, { logger });
  return lines;
}

Deno.test("startDaemon() makes the home for its owner alone when key and store are elsewhere", async () => {
  await using dir = await tempDir();
  const home = join(dir.path, "new", "home");
  const flags = { key: join(dir.path, "keys", "key"), "store-path": join(dir.path, "store") };
  await using node = await startTestDaemon({ home, flags });
  assert.equal(node.daemon.grpcAddress, `unix://${home}/daemon.sock`);
  const { nodeInfo } = await node.rpc.unary(NodeService.method.getNodeInfo, {});
  assert.equal(nodeInfo?.home, home);
  assert.deepEqual([await modeOf(home), await modeOf(join(dir.path, "new"))], ["700", "700"]);
  const names = await Array.fromAsync(Deno.readDir(home), ({ name }) => name);
  assert.deepEqual(names.sort(), ["artifacts", "daemon.sock"]);
  assert.equal(await modeOf(join(home, "artifacts")), "700");
});

Deno.test("startDaemon() warns of a home that others have access to, and leaves it as it is", async () => {
  await using dir = await tempDir();
  assert.deepEqual(await warningsOn(dir.path), []);
  for (const [mode, shown] of [[0o755, "0755"], [0o710, "0710"]] as const) {
    await Deno.chmod(dir.path, mode);
    const [warning = "", ...more] = await warningsOn(dir.path);
    assert.match(warning, /WARN .*others have access to the home/i);
    assert.ok(warning.includes(`\`chmod 700 ${dir.path}\``), warning);
    assert.ok(warning.endsWith(`mode=${shown}`), warning);
    assert.deepEqual(more, []);
    assert.equal(await modeOf(dir.path), mode.toString(8));
  }
});

Deno.test("startDaemon() throws failed_precondition when the home is no folder", async () => {
  await using dir = await tempDir();
  const home = join(dir.path, "file");
  await Deno.writeTextFile(home, "mine");
  await assert.rejects(startTestDaemon({ home }), {
    code: "failed_precondition",
    message: new RegExp(`^Cannot make the home ${home}: .*--home`),
  });
  assert.equal(await Deno.readTextFile(home), "mine");
});
