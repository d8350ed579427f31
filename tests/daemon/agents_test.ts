import assert from "node:assert/strict";
import type { AgentCard } from "../../a2a/mod.ts";
import { silentLogger } from "../../core/log.ts";
import { type AgentEvent, AttachedAgents } from "../../daemon/agents.ts";
import { decodeCard } from "../../daemon/convert/card.ts";
import { createMemoryKvStore } from "../../kv/mod.ts";
import type { PeerConnection } from "../../p2p/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

const cardOf = (name: string): AgentCard => ({ ...decodeCard(new Uint8Array()), name });

function openAgents(kv = createMemoryKvStore()) {
  const shown: string[][] = [];
  const gone: string[] = [];
  const clock = new FakeClock();
  const agents = new AttachedAgents({
    ...{ kv, clock, logger: silentLogger },
    cards: {
      own: undefined,
      setAttached: (cards) => {
        if (cards.some(({ name }) => name === "bad")) return Promise.reject(new Error("bad card"));
        shown.push(cards.map(({ name }) => name));
        return Promise.resolve();
      },
    },
    announceCard: () => Promise.resolve(),
    peers: () => [{ peerId: "p0" } as PeerConnection],
    onGone: (agentId) => gone.push(agentId),
  });
  const pass = async (ms: number) => {
    clock.advance(ms);
    await new Promise((resolve) => setTimeout(resolve, 0));
  };
  return { kv, shown, gone, agents, pass, [Symbol.asyncDispose]: () => agents[Symbol.asyncDispose]() };
}

/** Attaches an agent; answers what it is told, and what ends it. */
async function attach(agents: AttachedAgents, agentId: string, name?: string) {
  const stop = new AbortController();
  const card = name === undefined ? undefined : cardOf(name);
  const events = agents.attach(agentId, { card, signal: stop.signal });
  const next = async (): Promise<AgentEvent | undefined> => {
    const { value } = await events.next();
    return value?.kind === "card_changed" ? await next() : value;
  };
  assert.equal((await next())?.kind, "attached");
  const leave = async () => {
    stop.abort();
    while (await next() !== undefined);
  };
  return { next, leave };
}

Deno.test("attach() shows the card for as long as the agent is there, and five seconds longer", async () => {
  await using rig = openAgents();
  const echo = await attach(rig.agents, "1", "Echo");
  await attach(rig.agents, "2", "Painter");
  await attach(rig.agents, "3");
  await echo.leave();
  await rig.pass(4_999);
  assert.deepEqual(rig.shown, [["Echo"], ["Echo", "Painter"]]);
  const back = await attach(rig.agents, "1", "Echo");
  assert.equal(rig.shown.length, 2, "nothing has changed for others");
  await back.leave();
  await rig.pass(5_000);
  assert.deepEqual(rig.shown.at(-1), ["Painter"]);
  assert.deepEqual(rig.gone, ["1"]);
});

Deno.test("attach() takes the place of what the agent was, and of an agent of the same name that went without a word", async () => {
  await using rig = openAgents();
  const first = await attach(rig.agents, "1", "Echo");
  const again = await attach(rig.agents, "1", "Echo 2");
  assert.equal((await first.next())?.kind, "peer_connected");
  assert.equal(await first.next(), undefined);
  assert.deepEqual(rig.shown, [["Echo"], ["Echo 2"]]);
  await again.leave();
  await attach(rig.agents, "2", "Echo 2");
  assert.deepEqual(rig.shown.at(-1), ["Echo 2"]);
  assert.deepEqual(rig.gone, ["1"]);
  await assert.rejects(attach(rig.agents, "2", "bad"), /bad card/);
  assert.deepEqual(await rig.agents.detach("1"), { others: 1, isAwaited: false }, "the agent is as it was");
});

Deno.test("attach() shows the cards of all agents that come and go at the same time", async () => {
  await using rig = openAgents();
  const echo = await attach(rig.agents, "1", "Echo");
  await Promise.all([
    attach(rig.agents, "2", "Painter"),
    attach(rig.agents, "3", "Poet"),
    rig.agents.detach("1"),
    attach(rig.agents, "4", "Singer"),
  ]);
  assert.deepEqual(rig.shown.at(-1), ["Painter", "Poet", "Singer"]);
  assert.equal((await echo.next())?.kind, "peer_connected");
  assert.equal(await echo.next(), undefined);
});

Deno.test("attach() with a card that cannot be used leaves the agent gone when its time is over", async () => {
  await using rig = openAgents();
  const echo = await attach(rig.agents, "1", "Echo");
  await echo.leave();
  await assert.rejects(attach(rig.agents, "1", "bad"), /bad card/);
  await rig.pass(5_000);
  assert.deepEqual(rig.shown, [["Echo"], []]);
  assert.deepEqual(rig.gone, ["1"]);
});

Deno.test("attach() is cancelled when the daemon stops before it is its turn", async () => {
  const rig = openAgents();
  const late = assert.rejects(attach(rig.agents, "1", "Echo"), { code: "cancelled" });
  await rig[Symbol.asyncDispose]();
  await late;
});

Deno.test("attach() tells which peers are connected", async () => {
  await using rig = openAgents();
  const { next } = await attach(rig.agents, "1");
  rig.agents.peerConnected({ peerId: "p1" } as PeerConnection);
  rig.agents.peerDisconnected("p0");
  const told = [await next(), await next(), await next()].map((event) =>
    event?.kind === "peer_connected"
      ? `+${event.peer.peerId}`
      : event?.kind === "peer_disconnected"
      ? `-${event.peerId}`
      : ""
  );
  assert.deepEqual(told, ["+p0", "+p1", "-p0"]);
});

Deno.test("detach() takes the agent out at once and tells who waits for there being none", async () => {
  await using rig = openAgents();
  await attach(rig.agents, "1", "Echo");
  await attach(rig.agents, "2");
  assert.deepEqual(await rig.agents.detach("1"), { others: 1, isAwaited: false });
  assert.deepEqual(rig.shown.at(-1), []);
  const none = rig.agents.untilNone();
  assert.deepEqual(await rig.agents.detach("2"), { others: 0, isAwaited: true });
  await none;
});

Deno.test("attach() is invalid_argument for an id that is none", async () => {
  await using rig = openAgents();
  for (const id of ["", "x".repeat(65)]) {
    await assert.rejects(attach(rig.agents, id), { code: "invalid_argument" });
  }
});

Deno.test("ofEarlierRun() knows the agents that took tasks and were not taken out", async () => {
  const { kv } = await (async () => {
    await using rig = openAgents();
    for (const id of ["1", "2", "3"]) await attach(rig.agents, id);
    for (const id of ["1", "2"]) rig.agents.takesTasks(id);
    await rig.agents.detach("1");
    return rig;
  })();
  assert.deepEqual(await AttachedAgents.ofEarlierRun({ kv, logger: silentLogger }), ["2"]);
  assert.deepEqual(
    await AttachedAgents.ofEarlierRun({ kv: createMemoryKvStore(), logger: silentLogger }),
    [],
  );
});
