import assert from "node:assert/strict";
import { silentLogger } from "../../../core/log.ts";
import { MemoryDisk } from "../../../daemon/memory/memory_disk.ts";
import { MemoryNetwork } from "../../../daemon/memory/memory_network.ts";
import type { FrameChannel, P2pHandlers, P2pHost } from "../../../p2p/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const LANE = "/lane";

interface Host {
  readonly host: P2pHost;
  readonly events: string[];
  /** The channels that peers opened, as they come. */
  readonly channels: FrameChannel[];
  readonly serving: PromiseWithResolvers<void>;
}

function open(network: MemoryNetwork, peerId: string, handlers: Partial<P2pHandlers> = {}): Host {
  const events: string[] = [];
  const channels: FrameChannel[] = [];
  const serving = Promise.withResolvers<void>();
  const host = network.open({
    peerId,
    channelProtocols: [LANE],
    logger: silentLogger,
    handlers: {
      onPeerConnected: ({ peerId, direction }) => void events.push(`${direction} ${peerId}`),
      onPeerDisconnected: (peerId) => void events.push(`lost ${peerId}`),
      onA2aFrame: (peerId, frame) => Promise.resolve(void events.push(`${peerId}: ${[...frame]}`)),
      onCardFrame: (_, frame) => Promise.resolve(Uint8Array.of(...frame, 0)),
      onChannel: async (channel) => {
        channels.push(channel);
        await serving.promise;
      },
      ...handlers,
    },
  });
  return { host, events, channels, serving };
}

async function startPair(): Promise<{ network: MemoryNetwork; clock: FakeClock; a: Host; b: Host }> {
  const clock = new FakeClock();
  const network = new MemoryNetwork(clock);
  const [a, b] = [open(network, "a"), open(network, "b")];
  await turn();
  return { network, clock, a, b };
}

/** Lets everything happen that needs no time. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function read(channel: FrameChannel, count: number): Promise<number[][]> {
  const frames: number[][] = [];
  if (count === 0) return frames;
  for await (const frame of channel.frames()) if (frames.push([...frame]) === count) break;
  return frames;
}

Deno.test("MemoryNetwork lets hosts find each other, and carries frames and cards", async () => {
  const { network, a, b } = await startPair();
  assert.deepEqual([a.events.splice(0), b.events.splice(0)], [["outbound b"], ["inbound a"]]);
  assert.throws(() => open(network, "a"), { code: "already_exists" });
  const frame = Uint8Array.of(1);
  await a.host.sendA2aFrame("b", frame);
  frame.fill(9);
  await turn();
  assert.deepEqual(b.events, ["a: 1"]);
  assert.deepEqual([...await a.host.exchangeCard("b", Uint8Array.of(2)) ?? []], [2, 0]);
  await assert.rejects(a.host.connect("c", []), { code: "unavailable" });
  await assert.rejects(a.host.connect("a", []), { code: "invalid_argument" });
  await assert.rejects(a.host.openChannel("b", "/other"), { code: "unimplemented" });
  await b.host[Symbol.asyncDispose]();
  assert.deepEqual(a.events, ["lost b"]);
  assert.deepEqual(a.host.peers(), []);
});

Deno.test("MemoryNetwork channels keep order, hold back who writes too fast and end behind what was sent", async () => {
  const { a, b } = await startPair();
  const near = await a.host.openChannel("b", LANE);
  await turn();
  const [far] = b.channels;
  assert.ok(far);
  let sent = 0;
  const sending = (async () => {
    for (; sent < 30; sent++) await near.send([Uint8Array.of(sent), Uint8Array.of(0)]);
    await near.close();
  })();
  await turn();
  assert.ok(sent > 5 && sent < 30, `${sent} were taken before anybody read`);
  const frames: number[] = [];
  for await (const frame of far.frames()) frames.push(frame[0] ?? NaN);
  await sending;
  assert.deepEqual(frames, Array.from({ length: 30 }, (_, i) => i));
  b.serving.resolve();
  await turn();
  assert.deepEqual(await read(near, 1), []);
});

Deno.test("MemoryNetwork.delay() keeps messages of one way in order until their time", async () => {
  const { network, clock, a, b } = await startPair();
  const near = await a.host.openChannel("b", LANE);
  await turn();
  network.delay("a", "b", 100);
  await near.send(Uint8Array.of(1));
  network.delay("a", "b", 0);
  await near.send(Uint8Array.of(2));
  const frames = read(b.channels[0] as FrameChannel, 2);
  await turn();
  clock.advance(99);
  await turn();
  assert.equal(await Promise.race([frames, Promise.resolve("nothing yet")]), "nothing yet");
  clock.advance(1);
  assert.deepEqual(await frames, [[1], [2]]);
});

Deno.test("MemoryNetwork.drop() breaks the connection of what it loses, which is there again in a second", async () => {
  const { network, clock, a, b } = await startPair();
  const near = await a.host.openChannel("b", LANE);
  await turn();
  network.drop("a", "b", 1);
  await near.send(Uint8Array.of(1)).catch(() => {/* or it is noticed later */});
  await turn();
  await assert.rejects(near.send(Uint8Array.of(2)), { code: "unavailable" });
  await assert.rejects(read(b.channels[0] as FrameChannel, 1), { code: "unavailable" });
  assert.deepEqual(b.events, ["inbound a", "lost a"]);
  clock.advance(1_000);
  await turn();
  assert.deepEqual(b.events.slice(2), ["inbound a"]);
});

Deno.test("MemoryNetwork.cut(), setOnline() and vanish() take hosts from each other", async () => {
  const { network, clock, a, b } = await startPair();
  network.cut("a", "b");
  clock.advance(5_000);
  await turn();
  await assert.rejects(b.host.sendA2aFrame("a", new Uint8Array()), { code: "unavailable" });
  network.heal("a", "b");
  assert.equal(a.host.isConnected("b"), true);
  network.setOnline("a", false);
  assert.equal(b.host.isConnected("a"), false);
  network.setOnline("a", true);
  a.events.splice(0);
  network.vanish("a");
  assert.deepEqual([a.events, b.events.at(-1)], [[], "lost a"]);
  const again = open(network, "a");
  await turn();
  await a.host[Symbol.asyncDispose](); // the end of the one that vanished concerns nobody
  assert.equal(again.host.isConnected("b"), true);
});

Deno.test("MemoryDisk keeps what is committed and flushed up to a crash", async () => {
  const disk = new MemoryDisk();
  const key = ["a"];
  const set = (text: string) => ({ op: "set", key, value: new TextEncoder().encode(text) }) as const;
  const textIn = async (store: Awaited<ReturnType<MemoryDisk["openStore"]>>) =>
    new TextDecoder().decode((await store.get(key))?.value);
  const first = await disk.openStore();
  await first.commit([set("kept")]);
  assert.equal(await first.commit([{ op: "check", key, revision: "0" }, set("refused")]), undefined);
  const start = {
    kind: "start",
    taskId: "t",
    artifactId: "1",
    artifactName: "",
    mediaType: "",
    metadata: {},
    totalBytes: 0,
  } as const;
  const file = await disk.openSpool().create(start as never, "s");
  await file.append([{ data: Uint8Array.of(1), isLast: false }]);
  await file.flush();
  await file.append([{ data: Uint8Array.of(2), isLast: true }]);
  disk.crash();
  await first.commit([set("lost")]);
  await file.flush();
  const second = await disk.openStore();
  assert.equal(await textIn(second), "kept");
  const [found] = await disk.openSpool().load("t");
  assert.deepEqual([found?.chunks, found?.bytes], [1, 1]);
  await second.commit([{ op: "delete", key }]);
  assert.equal(await (await disk.openStore()).get(key), undefined);
});
