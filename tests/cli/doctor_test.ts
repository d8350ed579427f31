import assert from "node:assert/strict";
import { join } from "node:path";
import { startTestPair } from "../support/test_daemon.ts";
import { tempDir } from "../support/temp_dir.ts";
import { runInProcess } from "./cli_harness.ts";

interface Finding {
  check: string;
  state: string;
  found: string;
  advice?: string;
}

async function findings(home: string): Promise<{ code: number; of: Map<string, Finding> }> {
  const { code, stdout } = await runInProcess(["doctor", "--json", `--home=${home}`]);
  const result = JSON.parse(stdout) as { findings: Finding[] };
  return { code, of: new Map(result.findings.map((finding) => [finding.check, finding])) };
}

Deno.test("doctor() says what is missing when no daemon runs, and what to do", async () => {
  await using home = await tempDir();
  const { code, of } = await findings(home.path);
  assert.equal(code, 1);
  assert.equal(of.get("daemon")?.state, "fault");
  assert.match(of.get("daemon")?.advice ?? "", /start it: agentanycast daemon/);
  assert.equal(of.get("key")?.state, "note");
  await Deno.writeTextFile(join(home.path, "key"), "x", { mode: 0o644 });
  await Deno.utime(join(home.path, "key"), new Date(), new Date(Date.now() + 3_600_000));
  const { of: later } = await findings(home.path);
  assert.match(later.get("key")?.found ?? "", /can be read by others \(644\)/);
  assert.match(later.get("clock")?.found ?? "", /behind files of this home/);
});

Deno.test("doctor() finds a daemon without relays that only loopback reaches, and peers() shows the way to its peer", async () => {
  await using net = await startTestPair();
  const { a, b } = net;
  const { of } = await findings(a.home);
  assert.equal(of.get("daemon")?.state, "ok");
  assert.match(of.get("addresses")?.found ?? "", /only this machine/);
  assert.equal(of.get("NAT")?.state, "note");
  assert.equal(of.get("UDP"), undefined);
  const { code, stdout } = await runInProcess([
    ...["peers", "--json", `--home=${a.home}`],
  ]);
  assert.equal(code, 0);
  const [peer] = JSON.parse(stdout);
  assert.deepEqual([peer.peerId, peer.connection, peer.transport], [b.daemon.peerId, "direct", "tcp"]);
  assert.ok(peer.sentBytes > 0 && peer.receivedBytes > 0, stdout);
});
