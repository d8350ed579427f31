import assert from "node:assert/strict";
import { resolveConfig } from "../../core/config.ts";
import { backUpHome, restoreHome } from "../../daemon/mod.ts";
import { AdminService } from "../../gen/agentanycast/v1/admin_service_pb.ts";
import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { tempDir } from "../support/temp_dir.ts";
import { startTestDaemon, type TestDaemon } from "../support/test_daemon.ts";

const PEER = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

function configOf(home: string) {
  return resolveConfig({ flags: { home }, env: {}, userHome: home, readFile: () => undefined });
}

async function send({ rpc }: TestDaemon, text: string): Promise<void> {
  await rpc.unary(NodeService.method.sendTask, {
    target: { case: "peerId", value: PEER },
    message: { parts: [{ content: { case: "textPart", value: { text } } }] },
  });
}

Deno.test("backUpHome() copies a home while its daemon works, and restoreHome() brings back identity and tasks", async () => {
  await using dir = await tempDir();
  const backup = `${dir.path}/backup`;
  let peerId = "";
  {
    await using net = await startTestDaemon();
    peerId = net.daemon.peerId;
    await send(net, "before");
    const result = await backUpHome(configOf(net.home), backup);
    assert.equal(result.peerId, peerId);
    await send(net, "after");
    await assert.rejects(backUpHome(configOf(net.home), backup), { code: "already_exists" });
  }
  for await (const { name, isFile } of Deno.readDir(backup)) {
    const mode = ((await Deno.stat(`${backup}/${name}`)).mode ?? 0) & 0o777;
    assert.equal(mode, isFile ? 0o600 : 0o700, name);
  }
  const home = `${dir.path}/home`;
  assert.equal((await restoreHome(configOf(home), backup)).peerId, peerId);
  await using restored = await startTestDaemon({ home });
  assert.equal(restored.daemon.peerId, peerId);
  const { tasks } = await restored.rpc.unary(AdminService.method.listTasks, {});
  assert.equal(tasks.length, 1);
  await assert.rejects(restoreHome(configOf(home), backup), { code: "already_exists" });
});

Deno.test("restoreHome() refuses a backup that was changed, and one that names files elsewhere", async () => {
  await using dir = await tempDir();
  const backup = `${dir.path}/backup`;
  {
    await using net = await startTestDaemon();
    await backUpHome(configOf(net.home), backup);
  }
  const target = configOf(`${dir.path}/home`);
  const database = `${backup}/data/agentanycast.kv`;
  const bytes = await Deno.readFile(database);
  await Deno.writeFile(database, bytes.slice(0, -1));
  await assert.rejects(restoreHome(target, backup), { code: "data_loss" });
  await Deno.writeFile(database, bytes);
  const manifest = JSON.parse(await Deno.readTextFile(`${backup}/manifest.json`));
  manifest.files["../evil"] = manifest.files.key;
  await Deno.writeTextFile(`${backup}/manifest.json`, JSON.stringify(manifest));
  await assert.rejects(restoreHome(target, backup), { code: "data_loss" });
  await assert.rejects(restoreHome(target, dir.path), { code: "not_found" });
});

Deno.test("backUpHome() says so when there is no home", async () => {
  await using dir = await tempDir();
  await assert.rejects(backUpHome(configOf(`${dir.path}/none`), `${dir.path}/b`), { code: "not_found" });
});
