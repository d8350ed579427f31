import assert from "node:assert/strict";
import { join } from "node:path";
import { McpStdio } from "../support/mcp_stdio.ts";
import { loopbackEnv, RunningProgram } from "../support/program.ts";
import { tempDir } from "../support/temp_dir.ts";
import { findNpmProgram } from "./npm_program.ts";

const PROGRAM = [Deno.execPath(), "run", "-A", join(import.meta.dirname ?? ".", "..", "..", "main.ts")];

const found = await findNpmProgram("@modelcontextprotocol/server-everything", "2026.8.31", "dist/index.js");
const missing = "missing" in found ? found.missing : undefined;
const name = "a server from npm becomes an agent that an assistant on another node uses";

Deno.test({
  name: missing === undefined ? name : `${name} (skipped: ${missing})`,
  ignore: missing !== undefined,
  fn: async () => {
    if ("missing" in found) return;
    await using homes = await tempDir();
    const home = join(homes.path, "a");
    await using proxy = new RunningProgram(
      [...PROGRAM, "mcp", "proxy", "--home", home, "--", ...found.command],
      { ...loopbackEnv(home), AGENTANYCAST_ENABLE_MDNS: "false" },
    );
    const peerId = await proxy.value("PEER_ID");
    await using client = new McpStdio(["mcp"], join(homes.path, "b"));
    await client.initialize();
    await client.call("connect_peer", { target: await proxy.value("LISTEN_ADDR") });
    const send = (skill: string, data: Record<string, unknown>) =>
      client.call("send_task", { target: peerId, skill, message: "", data });
    const echoed = await send("echo", { message: "Hello" });
    assert.equal(echoed.response_text, "Echo: Hello");
    const sum = await send("get-sum", { a: 2, b: 3 });
    assert.match(String(sum.response_text), /5/);
    const image = await client.request("tools/call", {
      name: "send_task",
      arguments: { target: peerId, skill: "get-tiny-image", message: "{}" },
    });
    const kinds = (image.result?.content as { type: string }[]).map(({ type }) => type);
    assert.ok(kinds.includes("image"), kinds.join());
    assert.equal(await client.close(), 0);
    assert.equal((await proxy.stop()).code, 0);
  },
});
