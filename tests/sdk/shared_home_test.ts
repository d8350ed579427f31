// Several nodes at the real daemon of one home: in one process, and in several.
import assert from "node:assert/strict";
import type { IncomingTask, Node } from "../../sdk/mod.ts";
import { daemonPid, type ManagedHome, managedHome } from "../support/managed_home.ts";
import { PROGRAM_MS, within } from "../support/patience.ts";
import { RunningProgram } from "../support/program.ts";

const PROGRAM = new URL("./shared_home_program.ts", import.meta.url).pathname;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

const cardOf = (name: string, skill: string) => ({
  name,
  description: `${name}s`,
  skills: [{ id: skill, description: skill }],
});

/** A node with one skill that says which node it is. */
function agent(home: ManagedHome, name: string, skill: string) {
  const node = home.node({ card: cardOf(name, skill), graceMs: 0 });
  node.onTask((task: IncomingTask) => task.complete(name), { skill });
  return node;
}

/** Who answers a task for a skill of the agent behind `peerId`. */
async function askFor(node: Node, peerId: string, targetSkill: string): Promise<string> {
  const handle = await node.sendTask("hi", { peerId, targetSkill });
  const { artifacts } = await handle.wait({ timeoutMs: PROGRAM_MS });
  return artifacts[0]?.parts[0]?.text ?? "";
}

const skillsOf = async (node: Node) => (await node.info()).card?.skills.map(({ id }) => id);

/** Comes back when the card of the node's home has these skills. */
async function untilSkills(node: Node, ...skills: string[]): Promise<void> {
  const events = node.events();
  const isShown = async () => String(await skillsOf(node)) === String(skills);
  const shown = (async () => {
    if (await isShown()) return;
    for await (const { kind } of events) if (kind === "card_changed" && await isShown()) return;
  })();
  await within(`the card with ${skills}`, shown);
}

function program(home: ManagedHome, name: string, skill: string): RunningProgram {
  return new RunningProgram([
    ...[Deno.execPath(), "run", "-A", "-q", "--config", CONFIG, PROGRAM],
    ...[home.path, name, skill],
  ]);
}

Deno.test("Nodes at one home show one card, and each gets the tasks for its skill", async () => {
  await using home = await managedHome();
  await using other = await managedHome();
  const sender = other.node();
  const [echo, paint] = [agent(home, "Echo", "echo"), agent(home, "Painter", "paint")];
  await Promise.all([echo.start(), paint.start(), sender.start()]);
  assert.equal(await daemonPid(echo), await daemonPid(paint));
  await sender.connectPeer(`${home.listen}/p2p/${echo.peerId}`);
  const card = await sender.getCard(echo.peerId);
  assert.deepEqual([card.name, card.description], ["Echo, Painter", "Echo: Echos\nPainter: Painters"]);
  assert.deepEqual(card.skills.map(({ id }) => id), ["echo", "paint"]);
  assert.equal(await askFor(sender, echo.peerId, "echo"), "Echo");
  assert.equal(await askFor(sender, echo.peerId, "paint"), "Painter");
  const nobody = await sender.sendTask("hi", { peerId: echo.peerId, targetSkill: "sing" });
  await assert.rejects(nobody.wait({ timeoutMs: PROGRAM_MS }), /No handler for sing/);

  await echo.setCard({ ...cardOf("Echo", "echo"), skills: [{ id: "echo" }, { id: "again" }] });
  assert.deepEqual(await skillsOf(paint), ["echo", "again", "paint"]);
  assert.deepEqual(echo.card?.skills.map(({ id }) => id), ["echo", "again"]);

  const pid = await daemonPid(paint);
  await echo.stop(); // whichever of the two has started the daemon
  assert.deepEqual((await paint.info()).card?.name, "Painter");
  assert.equal(await daemonPid(paint), pid, "the daemon goes on for the other one");
  assert.equal(await askFor(sender, paint.peerId, "paint"), "Painter");
  await paint.stop();
  assert.equal(paint.isRunning, false);
});

Deno.test("Nodes at one home get their own tasks again when their daemon is killed", async () => {
  await using home = await managedHome();
  await using other = await managedHome();
  const sender = other.node();
  const runs: string[] = [];
  const release = Promise.withResolvers<void>();
  const nodes = [["Echo", "echo"], ["Painter", "paint"]].map(([name = "", skill = ""]) => {
    const node = home.node({ card: cardOf(name, skill), graceMs: 0 });
    node.onTask(async (task) => {
      runs.push(`${name} ${task.taskId}`);
      await task.updateStatus("working");
      await release.promise;
      await task.complete(name);
    }, { skill, maxConcurrent: 2 });
    return node;
  });
  await Promise.all([sender, ...nodes].map((node) => node.start()));
  const { peerId } = nodes[0] as Node;
  await sender.connectPeer(`${home.listen}/p2p/${peerId}`);
  const sent = await Promise.all(
    ["echo", "paint", "echo", "paint", "echo", "paint"].map(async (targetSkill) => ({
      name: targetSkill === "echo" ? "Echo" : "Painter",
      handle: await sender.sendTask("hi", { peerId, targetSkill }),
    })),
  );
  for (const { handle } of sent.slice(0, 4)) {
    for await (const { status } of handle.events()) if (status === "working") break;
  }
  // Who has started the daemon knows of its end at once; the other one may find the next daemon already there.
  const starter = nodes.find(({ told }) => told.at(-1)?.message === "Ready");
  Deno.kill(await daemonPid(nodes[0] as Node), "SIGKILL");
  await starter?.until("restarting");
  await starter?.until("ready", 2);
  release.resolve();
  for (const { name, handle } of sent) {
    const { artifacts } = await handle.wait({ timeoutMs: PROGRAM_MS });
    assert.equal(artifacts[0]?.parts[0]?.text, name);
  }
  assert.deepEqual([...runs].sort(), sent.map(({ name, handle }) => `${name} ${handle.taskId}`).sort());
  await untilSkills(nodes[1] as Node, "echo", "paint");
});

Deno.test("Programs that start on one home at the same moment share one daemon, which outlives the one that started it", async () => {
  await using home = await managedHome();
  const names = ["Echo", "Painter"] as const;
  await using first = program(home, names[0], "echo");
  await using second = program(home, names[1], "paint");
  const pids = await within("both programs", Promise.all([first.value("DAEMON"), second.value("DAEMON")]));
  assert.equal(pids[0], pids[1], "exactly one daemon");
  const owns = await Promise.all([first.value("STATUS"), second.value("STATUS")]);
  assert.deepEqual([...owns].sort(), ["Joined a running daemon", "Ready"]);
  const [starter, joiner, rest] = owns[0] === "Ready"
    ? [first, second, "paint"] as const
    : [second, first, "echo"] as const;

  const node = home.node();
  await node.start();
  await untilSkills(node, "echo", "paint");
  await starter.stop("SIGKILL");
  await untilSkills(node, rest); // after the time in which it could have come back
  assert.equal(String(await daemonPid(node)), pids[0], "the same daemon goes on");
  assert.equal((await joiner.stop("SIGTERM")).code, 0);
  assert.equal(await skillsOf(node), undefined);
  const ended = node.until("restarting");
  Deno.kill(Number(pids[0]), "SIGKILL");
  await ended;
  await node.until("ready", 2);
  assert.notEqual(String(await daemonPid(node)), pids[0], "who has joined starts it again");
});
