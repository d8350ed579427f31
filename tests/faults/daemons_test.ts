import assert from "node:assert/strict";
import { driveFaults } from "../support/fault_driver.ts";
import { FaultNet } from "../support/fault_net.ts";
import { directConnections } from "../support/fault_ports.ts";
import { tempDir } from "../support/temp_dir.ts";

/** A short run of `deno task soak`, which goes on for as long as one likes. */
const FAULTS_MS = 12_000;
const SETTLE_MS = 90_000;
const SEED = 20_240;

Deno.test("tasks survive daemons, agents and senders that are killed, and links that fail", async () => {
  await using dir = await tempDir();
  const kinds = ["echo", "progress", "cancel", "fail", "reject"] as const;
  await using net = await FaultNet.start({ folder: dir.path, kinds });
  const result = await driveFaults(net, { faultsMs: FAULTS_MS, seed: SEED, settleMs: SETTLE_MS });
  const { verdict, problems, kills, cuts } = result;
  const { tasks, reruns: _, ...faults } = verdict;
  const none = {
    lost: 0,
    divergent: 0,
    invented: 0,
    duplicateTerminals: 0,
    unexplainedReruns: 0,
    findings: [],
  };
  assert.deepEqual({ ...faults, problems }, { ...none, problems: [] });
  assert.ok(tasks >= 20 && kills >= 2 && cuts >= 2, `${tasks} tasks, ${kills} kills, ${cuts} cuts`);
});

Deno.test("directConnections() finds a connection that no proxy made", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  using client = await Deno.connect({ hostname: "127.0.0.1", port });
  using _server = await listener.accept();
  const from = client.localAddr.port;
  assert.deepEqual(await directConnections([port], new Set()), [`${from} to ${port}`]);
  assert.deepEqual(await directConnections([port], new Set([from])), []);
  assert.deepEqual(await directConnections([port + 1], new Set()), []);
});
