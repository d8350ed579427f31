import assert from "node:assert/strict";
import { join } from "node:path";
import { createIdentity, signRegistryRecord } from "../../identity/mod.ts";
import { RegistryClient } from "../../registry/mod.ts";
import { createRpcClient } from "../../rpc/rpc_client.ts";
import { untilHolds } from "../support/patience.ts";
import { loopbackEnv, RunningProgram, runProgram } from "../support/program.ts";
import { tempDir } from "../support/temp_dir.ts";

const MAIN = [Deno.execPath(), "run", "-A", join(import.meta.dirname ?? ".", "../../main.ts")];

interface Ports {
  readonly tcp: number;
  readonly registry: number;
}

function startRelay(home: string, ports: Ports = { tcp: 0, registry: 0 }): RunningProgram {
  // As programs of the existing network write it: one dash, and a space or = before the value.
  const flags = [
    `-listen=/ip4/127.0.0.1/tcp/${ports.tcp}`,
    "-registry-listen",
    `127.0.0.1:${ports.registry}`,
  ];
  const servers = ["--mcp-listen=127.0.0.1:0", "--metrics-listen=", "--api-listen=127.0.0.1:0"];
  return new RunningProgram([...MAIN, "relay", "--home", home, ...flags, ...servers], { NO_COLOR: "1" });
}

async function portsOf(relay: RunningProgram): Promise<Ports> {
  const port = (text: string, pattern: RegExp) => Number(pattern.exec(text)?.[1]);
  const registry = port(await relay.value("REGISTRY_ADDR"), /:(\d+)$/);
  return { tcp: port(await relay.value("RELAY_ADDR"), /\/tcp\/(\d+)\//), registry };
}

/** What a program that nobody renews has registered. */
function registration() {
  const identity = createIdentity(crypto.getRandomValues(new Uint8Array(32)));
  const nowMs = Date.now();
  const facts = {
    ...{ name: "Kept", description: "", addresses: [], removed: false, sequence: 1 },
    ...{ issuedAtMs: nowMs, expiresAtMs: nowMs + 600_000 },
    skills: [{ id: "kept", description: "", tags: {} }],
  };
  return { record: { ...facts, peerId: identity.peerId }, signed: signRegistryRecord(facts, identity) };
}

Deno.test("relay() keeps identity and registrations over a kill, and its agents are found again at once", async () => {
  await using home = await tempDir();
  const path = (name: string) => join(home.path, name);
  await using relay = startRelay(path("relay"));
  const ports = await portsOf(relay);
  const address = await relay.value("RELAY_ADDR");
  await relay.value("API_ADDR");
  assert.deepEqual(relay.lines.map((line) => line.split("=")[0]), [
    "RELAY_ADDR",
    "REGISTRY_ADDR",
    "MCP_ADDR",
    "API_ADDR",
  ]);
  using client = new RegistryClient({ calls: createRpcClient(`127.0.0.1:${ports.registry}`) });
  await client.register(registration());
  const env = loopbackEnv(path("agent"));
  await using _agent = new RunningProgram([...MAIN, "demo", "--relay", address], env);
  const asker = { ...loopbackEnv(path("asker")), AGENTANYCAST_ENABLE_MDNS: "false" };
  const discover = async () =>
    await runProgram([...MAIN, "discover", "echo", "--relay", address, "--json"], { env: asker });
  await untilHolds(async () => (await discover()).stdout.includes("12D3KooW"));
  await relay.stop("SIGKILL");
  await using again = startRelay(path("relay"), ports);
  assert.equal(await again.value("RELAY_ADDR"), address);
  await again.value("API_ADDR");
  assert.deepEqual(
    (await client.find({ skill: "kept" })).agents.map(({ name, verified }) => [name, verified]),
    [
      ["Kept", true],
    ],
  );
  assert.match((await discover()).stdout, /12D3KooW/);
  const listed = await runProgram([...MAIN, "relay", "skills", "--home", path("relay")]);
  assert.match(listed.stdout, /^echo +1/m);
  const { code } = await again.stop("SIGTERM");
  assert.equal(code, 0);
  const down = await runProgram([...MAIN, "relay", "status", "--home", path("relay")]);
  assert.equal(down.code, 3);
  assert.match(down.stderr, /No relay answers at/);
});

Deno.test("relay() fails when an address that was asked for is taken, and names it", async () => {
  await using home = await tempDir();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const busy = `127.0.0.1:${(taken.addr as Deno.NetAddr).port}`;
  const flags = [
    "--listen",
    "/ip4/127.0.0.1/tcp/0",
    "--registry-listen",
    "127.0.0.1:0",
    "--metrics-listen=off",
  ];
  for (const more of [["--api-listen", busy, "--mcp-listen=off"], ["--registry-listen", busy]]) {
    const relay = await runProgram([...MAIN, "relay", "--home", home.path, ...flags, ...more]);
    assert.notEqual(relay.code, 0);
    assert.match(relay.stderr, new RegExp(busy));
    assert.equal(relay.stdout, "");
  }
});
