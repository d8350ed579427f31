import assert from "node:assert/strict";
import { join } from "node:path";
import { MCP_CLIENTS } from "../../cli/mcp_clients.ts";
import { changeFile, withoutServer, withServer } from "../../cli/mcp_client_file.ts";
import { tempDir } from "../support/temp_dir.ts";
import { runInProcess } from "./cli_harness.ts";

const PLACE = ["mcpServers", "agentanycast"] as const;
const SERVER = { command: "/bin/agentanycast", args: ["mcp"] };

Deno.test("withServer() keeps comments, order and indentation", () => {
  const text = '// mine\n{\n\t"theme": "dark", // as it is\n\t"mcpServers": {\n' +
    '\t\t// not ours\n\t\t"other": {\n\t\t\t"command": "x"\n\t\t}\n\t}\n}\n';
  const changed = withServer(text, PLACE, SERVER);
  assert.match(changed, /^\/\/ mine\n\{\n\t"theme": "dark", \/\/ as it is\n/);
  assert.match(
    changed,
    /\t\t\/\/ not ours\n\t\t"other": \{\n\t\t\t"command": "x"\n\t\t\},\n\t\t"agentanycast": \{\n\t\t\t"command"/,
  );
  assert.equal(withoutServer(changed, PLACE), text);
});

Deno.test("withServer() begins a file, and replaces an earlier entry", () => {
  const first = withServer("", PLACE, SERVER);
  assert.deepEqual(JSON.parse(first), { mcpServers: { agentanycast: SERVER } });
  const second = withServer(first, PLACE, { command: "y" });
  assert.deepEqual(JSON.parse(second), { mcpServers: { agentanycast: { command: "y" } } });
});

Deno.test("withServer() refuses what it cannot read, and names the line", () => {
  assert.throws(() => withServer('{\n "a": \n', PLACE, SERVER), /line \d of it is no JSON/);
  assert.throws(() => withServer("[]", PLACE, SERVER), /no JSON object/);
  assert.throws(() => withServer('{"mcpServers": []}', PLACE, SERVER), /"mcpServers" in it is no object/);
});

Deno.test("changeFile() keeps each state that it replaces, and the rights of the file", async () => {
  await using folder = await tempDir();
  const path = join(folder.path, "deep", "config.json");
  const created = await changeFile(path, () => "{}");
  assert.deepEqual(created, { changed: true });
  await Deno.chmod(path, 0o640);
  const changed = await changeFile(path, () => '{"a":1}');
  assert.equal(await Deno.readTextFile(changed.backup!), "{}");
  assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o640);
  const again = await changeFile(path, () => '{"a":2}');
  assert.equal(await Deno.readTextFile(again.backup!), '{"a":1}');
  assert.deepEqual(await changeFile(path, (text) => text), { changed: false });
});

Deno.test("changeFile() writes nothing when the change is not possible", async () => {
  await using folder = await tempDir();
  const path = join(folder.path, "config.json");
  await Deno.writeTextFile(path, "{ broken");
  await assert.rejects(
    changeFile(path, (text) => withServer(text, PLACE, SERVER)),
    /Nothing was written; --print/,
  );
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["config.json"]);
});

Deno.test("mcp install and uninstall leave the file of an assistant as it was", async () => {
  await using folder = await tempDir();
  for (const { id, key } of MCP_CLIENTS) {
    const file = join(folder.path, `${id}.json`);
    const before = '{\n  "other": true\n}\n';
    await Deno.writeTextFile(file, before);
    const place = ["--file", file, "--command", "/bin/agentanycast"];
    const installed = await runInProcess(["mcp", "install", id, ...place, "--home", "/h", "--json"]);
    assert.equal(installed.code, 0, installed.stderr);
    assert.equal(JSON.parse(installed.stdout).changed, true);
    const content = JSON.parse(await Deno.readTextFile(file));
    assert.deepEqual(content[key].agentanycast.args, ["mcp", "--home", "/h"]);
    assert.equal(content.other, true);
    const removed = await runInProcess(["mcp", "uninstall", id, "--file", file, "--json"]);
    assert.equal(removed.code, 0, removed.stderr);
    assert.deepEqual(JSON.parse(await Deno.readTextFile(file)), { other: true, [key]: {} });
    const nothing = await runInProcess(["mcp", "uninstall", id, "--file", file, "--json"]);
    assert.equal(JSON.parse(nothing.stdout).changed, false);
  }
});

Deno.test("mcp install --print changes nothing", async () => {
  await using folder = await tempDir();
  const file = join(folder.path, "c.json");
  const { code, stdout } = await runInProcess([
    "mcp",
    "install",
    "vscode",
    "--file",
    file,
    "--print",
    "--command",
    "a",
  ]);
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), {
    servers: { agentanycast: { type: "stdio", command: "a", args: ["mcp"] } },
  });
  await assert.rejects(Deno.stat(file), Deno.errors.NotFound);
});

Deno.test("mcp install names the assistants it knows", async () => {
  const { code, stderr } = await runInProcess(["mcp", "install", "emacs"]);
  assert.equal(code, 2);
  assert.match(stderr, /claude-desktop, claude-code, cursor, vscode, windsurf, gemini/);
});

Deno.test("MCP_CLIENTS have their files where each system keeps them", () => {
  const desktop = MCP_CLIENTS.find(({ id }) => id === "claude-desktop")!;
  const file = (os: typeof Deno.build.os) => desktop.file({ os, home: "/u" });
  assert.equal(file("darwin"), "/u/Library/Application Support/Claude/claude_desktop_config.json");
  assert.equal(file("linux"), "/u/.config/Claude/claude_desktop_config.json");
  assert.equal(
    desktop.file({ os: "windows", home: "/u", appData: "/u/Roaming" }),
    "/u/Roaming/Claude/claude_desktop_config.json",
  );
});
