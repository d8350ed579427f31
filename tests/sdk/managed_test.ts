// Nodes and the real daemons they start, as processes that are killed.
import assert from "node:assert/strict";
import { join } from "node:path";
import { DaemonError, DaemonStartError, type Node } from "../../sdk/mod.ts";
import { daemonPid, managedHome } from "../support/managed_home.ts";
import { within } from "../support/patience.ts";

const TASKS_EACH_WAY = 100;
const KILLS = 3;

Deno.test("Node and its tasks in both directions go on when daemons are killed under load, each handled once", async () => {
  await using ours = await managedHome();
  await using theirs = await managedHome();
  const runs = new Map<string, number>();
  const nodes = [ours.node(), theirs.node()] as const;
  for (const node of nodes) {
    node.onTask(async (task) => {
      runs.set(task.taskId, (runs.get(task.taskId) ?? 0) + 1);
      await task.updateStatus("working", "one");
      await task.complete(`done ${task.text}`);
    });
  }
  await Promise.all(nodes.map((node) => node.start()));
  const [a, b] = nodes;
  await a.connectPeer(`${theirs.listen}/p2p/${b.peerId}`);

  let ended = 0;
  let onEnd = () => {};
  const one = async (from: Node, to: Node, i: number) => {
    const handle = await from.sendTask(`task ${i}`, { peerId: to.peerId });
    const told: number[] = [];
    for await (const { generation } of handle.events({ afterGeneration: 0 })) told.push(generation ?? -1);
    const { artifacts } = await handle.wait();
    assert.equal(artifacts[0]?.parts[0]?.text, `done task ${i}`);
    assert.deepEqual(told, told.map((_, i) => i + 1), "no change is lost or told twice");
    ended++;
    onEnd();
    return handle.taskId;
  };
  const all = [...Array(TASKS_EACH_WAY).keys()].flatMap((i) => [one(a, b, i), one(b, a, i)]);
  const done = Promise.all(all);
  done.catch(() => {}); // awaited below
  for (let kill = 1; kill <= KILLS; kill++) {
    const victim = nodes[kill % 2] as typeof a;
    const pid = await daemonPid(victim);
    Deno.kill(pid, "SIGKILL");
    await victim.until("restarting", Math.ceil(kill / 2));
    await victim.until("ready", Math.ceil(kill / 2) + 1);
    const target = Math.floor(all.length * kill / (KILLS + 2));
    await within(
      `the end of ${target} tasks`,
      new Promise<void>((resolve) => {
        onEnd = () => {
          if (ended >= target) resolve();
        };
        onEnd();
      }),
    );
  }
  const ids = await within("the end of all tasks", done);
  assert.equal(new Set(ids).size, all.length);
  assert.deepEqual([...new Set(runs.values())], [1]);
  assert.equal(runs.size, all.length);
});

Deno.test("Node ends everything that waits when its daemon died and cannot be started again", async () => {
  await using home = await managedHome();
  const program = join(home.path, "agentanycast");
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  await Deno.writeTextFile(
    program,
    `#!/bin/sh\nexec '${Deno.execPath()}' run -A -q --config '${config}' '${main}' "$@"\n`,
    { mode: 0o755 },
  );
  const node = home.node({ daemonPath: program, reconnectMs: 500 });
  const signalled = Promise.withResolvers<void>();
  node.onTask((task) => {
    task.signal.addEventListener("abort", () => signalled.resolve());
    return new Promise(() => {});
  });
  await node.start();
  const peerId = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
  const handle = await node.sendTask("hi", { peerId });
  const isDaemonError = (error: unknown) => error instanceof DaemonError;
  const waits = [
    assert.rejects(handle.wait(), isDaemonError),
    assert.rejects(Array.fromAsync(handle.events()), isDaemonError),
    assert.rejects(Array.fromAsync(handle.streams()), isDaemonError),
    assert.rejects(node.serveForever(), DaemonStartError),
  ];
  const pid = await daemonPid(node);
  await Deno.remove(program);
  Deno.kill(pid, "SIGKILL");
  await within("the end of all that waits", Promise.all(waits));
  await node.until("failed");
  assert.equal(node.isRunning, false);
  await assert.rejects(node.sendTask("hi", { peerId }), DaemonStartError);
  await assert.rejects(handle.refresh(), DaemonStartError);
  assert.match(node.told.at(-1)?.message ?? "", /gone \(ended by SIGKILL\) and could not be started again/);
});
