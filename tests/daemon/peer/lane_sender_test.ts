import assert from "node:assert/strict";
import type { Answer } from "../../../a2a/mod.ts";
import { CodedError } from "../../../core/errors.ts";
import { silentLogger } from "../../../core/log.ts";
import type { LaneFrame, LaneLimits } from "../../../daemon/peer/lane_codec.ts";
import { LaneSender } from "../../../daemon/peer/lane_sender.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FramePlayer, type MemoryChannel, memoryChannels, settle } from "./memory_channel.ts";

const LIMITS: LaneLimits = {
  maxUnansweredEnvelopes: 256,
  maxUnansweredBytes: 8 * 1024 * 1024,
  maxEnvelopeBytes: 1024 * 1024,
};
const TAKEN: Answer = { outcome: "taken" };
const unavailable = { code: "unavailable" };
const live = () => new AbortController().signal;
const bytes = (size: number) => new Uint8Array(size);

interface Lane extends AsyncDisposable {
  clock: FakeClock;
  sender: LaneSender;
  near: MemoryChannel;
  far: MemoryChannel;
  peer: FramePlayer;
  /** Sends an envelope of that size. */
  send(size: number, signal?: AbortSignal): Promise<Answer>;
  /** Answers envelopes as taken. */
  take(...numbers: number[]): Promise<void>;
}

/** A lane whose receiver is played by the test. */
async function openLane(limits: Partial<LaneLimits> = {}): Promise<Lane> {
  const [near, far] = memoryChannels();
  const clock = new FakeClock();
  const peer = new FramePlayer(far);
  const sender = LaneSender.open(near, { clock, logger: silentLogger });
  await peer.expect("hello");
  await peer.send({ kind: "hello", limits: { ...LIMITS, ...limits } });
  await settle();
  return {
    clock,
    sender,
    near,
    far,
    peer,
    send: (size, signal = live()) => sender.send(bytes(size), { signal }),
    take: (...numbers) =>
      peer.send({ kind: "answers", answers: numbers.map((number) => ({ number, answer: TAKEN })) }),
    [Symbol.asyncDispose]: () => sender.close(),
  };
}

const numbersOf = (frame: LaneFrame & { kind: "envelopes" }) => frame.envelopes.map(({ number }) => number);

Deno.test("LaneSender.send() resolves with the answer to its own envelope, in whatever order answers come", async () => {
  await using lane = await openLane();
  const sends = [lane.send(1), lane.send(2), lane.send(3)];
  const batch = await lane.peer.expect("envelopes");
  assert.deepEqual(batch.envelopes.map(({ number, bytes }) => [number, bytes.length]), [[1, 1], [2, 2], [
    3,
    3,
  ]]);
  const refused: Answer = { outcome: "refused", reason: "no" };
  const busy: Answer = { outcome: "busy", reason: "later" };
  await lane.peer.send({
    kind: "answers",
    answers: [{ number: 3, answer: busy }, { number: 1, answer: refused }],
  });
  await lane.take(2);
  assert.deepEqual(await Promise.all(sends), [refused, TAKEN, busy]);
});

Deno.test("LaneSender sends a lone envelope at once and those of one tick together, up to 256 KiB", async () => {
  await using lane = await openLane();
  const sends = [lane.send(10)];
  assert.deepEqual(numbersOf(await lane.peer.expect("envelopes")), [1]);
  for (let i = 0; i < 5; i++) sends.push(lane.send(100 * 1024));
  sends.push(lane.send(300 * 1024), lane.send(1));
  assert.deepEqual(numbersOf(await lane.peer.expect("envelopes")), [2, 3]);
  assert.deepEqual(numbersOf(await lane.peer.expect("envelopes")), [4, 5]);
  assert.deepEqual(numbersOf(await lane.peer.expect("envelopes")), [6]);
  assert.deepEqual(numbersOf(await lane.peer.expect("envelopes")), [7]);
  assert.deepEqual(numbersOf(await lane.peer.expect("envelopes")), [8]);
  await lane.take(1, 2, 3, 4, 5, 6, 7, 8);
  await Promise.all(sends);
});

Deno.test("LaneSender gathers what is handed in while the transport is busy into one frame", async () => {
  await using lane = await openLane();
  lane.near.stalled = true;
  const sends = [lane.send(1)];
  assert.deepEqual(numbersOf(await lane.peer.expect("envelopes")), [1]);
  for (let i = 0; i < 3; i++) {
    sends.push(lane.send(1));
    await settle();
  }
  lane.near.stalled = false;
  assert.deepEqual(numbersOf(await lane.peer.expect("envelopes")), [2, 3, 4]);
  await lane.take(1, 2, 3, 4);
  await Promise.all(sends);
});

Deno.test("LaneSender keeps within the receiver's number of envelopes", async () => {
  await using lane = await openLane({ maxUnansweredEnvelopes: 3 });
  assert.equal(lane.sender.window, 3);
  const sends = Array.from({ length: 5 }, () => lane.send(1));
  assert.deepEqual(numbersOf(await lane.peer.expect("envelopes")), [1, 2, 3]);
  await settle();
  assert.equal(lane.near.sent.length, 2);
  await lane.take(2);
  assert.deepEqual(numbersOf(await lane.peer.expect("envelopes")), [4]);
  await lane.take(1, 3);
  assert.deepEqual(numbersOf(await lane.peer.expect("envelopes")), [5]);
  await lane.take(4, 5);
  await Promise.all(sends);
});

Deno.test("LaneSender keeps within the receiver's bytes, but sends one envelope that is longer", async () => {
  await using lane = await openLane({ maxUnansweredBytes: 1000 });
  const sends = [lane.send(600), lane.send(600), lane.send(5000), lane.send(1)];
  assert.deepEqual(numbersOf(await lane.peer.expect("envelopes")), [1]);
  await lane.take(1);
  assert.deepEqual(numbersOf(await lane.peer.expect("envelopes")), [2]);
  await lane.take(2);
  assert.deepEqual(numbersOf(await lane.peer.expect("envelopes")), [3]);
  await lane.take(3);
  assert.deepEqual(numbersOf(await lane.peer.expect("envelopes")), [4]);
  await lane.take(4);
  await Promise.all(sends);
});

Deno.test("LaneSender.send() answers refused when the envelope is longer than the receiver takes", async () => {
  await using lane = await openLane({ maxEnvelopeBytes: 100 });
  assert.equal((await lane.send(101)).outcome, "refused");
  assert.equal(lane.near.sent.length, 1);
});

Deno.test("LaneSender.send() given up before it left does not leave; after, it keeps its place until its answer", async () => {
  await using lane = await openLane({ maxUnansweredEnvelopes: 1 });
  const [first, second] = [new AbortController(), new AbortController()];
  const sent = lane.send(1, first.signal);
  const waits = lane.send(2, second.signal);
  const third = lane.send(3);
  await lane.peer.expect("envelopes");
  first.abort();
  second.abort();
  await assert.rejects(sent, { code: "cancelled" });
  await assert.rejects(waits, { code: "cancelled" });
  await assert.rejects(lane.send(4, first.signal), { code: "cancelled" });
  await settle();
  assert.equal(lane.near.sent.length, 2);
  await lane.take(1);
  const { envelopes } = await lane.peer.expect("envelopes");
  assert.deepEqual(envelopes.map(({ number, bytes }) => [number, bytes.length]), [[2, 3]]);
  await lane.take(2);
  assert.deepEqual(await third, TAKEN);
});

Deno.test("LaneSender fails its sends and resets the lane when the receiver breaks the protocol", async () => {
  const faults: ((lane: Lane) => Promise<void>)[] = [
    (lane) => lane.take(3),
    (lane) => lane.take(1, 1),
    (lane) => lane.far.send(Uint8Array.fromHex("ffffffff")),
    (lane) => lane.peer.send({ kind: "hello", limits: LIMITS }),
    (lane) => lane.peer.send({ kind: "envelopes", envelopes: [{ number: 1, bytes: bytes(1) }] }),
  ];
  for (const fault of faults) {
    await using lane = await openLane();
    const sends = Promise.allSettled([lane.send(1), lane.send(1)]);
    await lane.peer.expect("envelopes");
    await fault(lane);
    const last = (await sends).at(-1);
    assert.equal(last?.status === "rejected" && last.reason.code, "unavailable");
    assert.ok(lane.sender.gone);
    assert.ok(lane.near.aborted);
    await assert.rejects(lane.send(1), unavailable);
  }
});

Deno.test("LaneSender fails its sends when the lane is lost or the receiver ends it", async () => {
  for (const end of ["abort", "close"] as const) {
    await using lane = await openLane();
    const sending = lane.send(1);
    await lane.peer.expect("envelopes");
    if (end === "abort") lane.far.abort(new Error("cut"));
    else await lane.far.close();
    await assert.rejects(sending, unavailable);
    await lane.sender.ended();
  }
});

/** A lane whose receiver has not said hello. */
function ungreeted() {
  const [near, far] = memoryChannels();
  const clock = new FakeClock();
  const lane = LaneSender.open(near, { clock, logger: silentLogger });
  return { near, far, clock, lane, peer: new FramePlayer(far) };
}

Deno.test("LaneSender fails its sends with unavailable when the hello is late, something else comes or it is closed", async () => {
  const [late, other, closed] = [ungreeted(), ungreeted(), ungreeted()];
  const rejected = [late, other, closed].map(({ lane }) => assert.rejects(lane.send(bytes(1)), unavailable));
  await settle();
  late.clock.advance(10_000);
  await other.peer.send({ kind: "pong", id: 1n });
  await closed.lane.close();
  await Promise.all(rejected);
  for (const { near, lane } of [late, other, closed]) {
    assert.ok(near.aborted);
    assert.equal(lane.greeted, false);
    await lane.ended();
  }
});

Deno.test("LaneSender sends a few small envelopes before the receiver's hello, the rest after it", async () => {
  const { lane, near, peer } = ungreeted();
  assert.equal(lane.window, 16);
  const sends = Array.from({ length: 17 }, () => lane.send(bytes(1)));
  await peer.expect("hello");
  assert.equal((await peer.expect("envelopes")).envelopes.length, 16);
  await settle();
  assert.equal(near.sent.length, 2);
  await peer.send({ kind: "hello", limits: LIMITS });
  assert.deepEqual(numbersOf(await peer.expect("envelopes")), [17]);
  await peer.send({
    kind: "answers",
    answers: sends.map((_, index) => ({ number: index + 1, answer: TAKEN })),
  });
  await Promise.all(sends);
  await lane.close();
});

Deno.test("LaneSender keeps a long envelope for the receiver's hello, and answers refused when it is too long for it", async () => {
  const { lane, near, peer } = ungreeted();
  const sends = [lane.send(bytes(70 * 1024)), lane.send(bytes(2 * 1024 * 1024)), lane.send(bytes(1))];
  await peer.expect("hello");
  await settle();
  assert.equal(near.sent.length, 1);
  await peer.send({ kind: "hello", limits: LIMITS });
  const batch = await peer.expect("envelopes");
  assert.deepEqual(batch.envelopes.map(({ bytes }) => bytes.length), [70 * 1024, 1]);
  await peer.send({ kind: "answers", answers: [1, 2].map((number) => ({ number, answer: TAKEN })) });
  assert.deepEqual((await Promise.all(sends)).map(({ outcome }) => outcome), ["taken", "refused", "taken"]);
  await lane.close();
});

Deno.test("LaneSender fails its sends with unimplemented, and is unspoken, when the peer has no lanes", async () => {
  const { lane, near } = ungreeted();
  const rejected = assert.rejects(lane.send(bytes(1)), { code: "unimplemented" });
  await settle();
  near.abort(new CodedError("unimplemented", "The peer does not speak it"));
  await rejected;
  assert.ok(lane.unspoken);
  await lane.ended();
});

Deno.test("LaneSender asks for a sign of life after 10 s of silence and gives the lane up 10 s later", async () => {
  await using lane = await openLane();
  const sending = assert.rejects(lane.send(1), unavailable);
  await lane.peer.expect("envelopes");
  for (let i = 0; i < 2; i++) {
    lane.clock.advance(5000);
    await settle();
  }
  const { id } = await lane.peer.expect("ping");
  lane.clock.advance(9000);
  await settle();
  await lane.peer.send({ kind: "pong", id });
  await settle();
  assert.equal(lane.sender.gone, false);
  lane.clock.advance(10_000);
  await settle();
  await lane.peer.expect("ping");
  for (let i = 0; i < 2; i++) {
    lane.clock.advance(5000);
    await settle();
  }
  await sending;
  assert.ok(lane.near.aborted);
});

Deno.test("LaneSender doubts its way after a second of silence with something under way, again and again", async () => {
  const [near, far] = memoryChannels();
  const clock = new FakeClock();
  let doubts = 0;
  const lane = LaneSender.open(near, { clock, logger: silentLogger, onDoubt: () => doubts++ });
  const peer = new FramePlayer(far);
  const pass = async (ms: number) => {
    clock.advance(ms);
    await settle();
  };
  await peer.send({ kind: "hello", limits: LIMITS });
  await settle();
  await pass(60_000);
  const sending = lane.send(bytes(1));
  await pass(900);
  await peer.send({ kind: "ping", id: 1n });
  await settle();
  await pass(900);
  assert.equal(doubts, 0);
  await pass(100);
  assert.equal(doubts, 1);
  await pass(1000);
  assert.equal(doubts, 2);
  await peer.send({ kind: "answers", answers: [{ number: 1, answer: TAKEN }] });
  await sending;
  await pass(4000);
  assert.equal(doubts, 2);
  await lane.close();
});

Deno.test("LaneSender measures silence from when something is under way, and not while nothing is", async () => {
  await using lane = await openLane();
  lane.clock.advance(4 * 60_000);
  await settle();
  const sending = lane.send(1);
  await lane.peer.expect("envelopes");
  lane.clock.advance(5000);
  await settle();
  assert.equal(lane.near.sent.length, 2);
  await lane.take(1);
  await sending;
});

Deno.test("LaneSender closes a lane after 5 minutes without traffic, in order", async () => {
  await using lane = await openLane();
  const sending = lane.send(1);
  await lane.peer.expect("envelopes");
  await lane.take(1);
  await sending;
  lane.clock.advance(4 * 60_000);
  await settle();
  assert.equal(lane.sender.gone, false);
  lane.clock.advance(60_000);
  await settle();
  assert.ok(lane.sender.gone);
  assert.ok(lane.near.closed);
  await assert.rejects(lane.send(1), unavailable);
  await lane.sender.ended();
});

Deno.test("LaneSender answers pings and ignores what later versions send", async () => {
  await using lane = await openLane();
  await lane.far.send(new Uint8Array(0));
  await lane.peer.send({ kind: "ping", id: 42n });
  assert.equal((await lane.peer.expect("pong")).id, 42n);
});

Deno.test("LaneSender answers no further ping while the receiver does not read its pong", async () => {
  await using lane = await openLane();
  lane.near.stalled = true;
  const before = lane.near.sent.length;
  for (let id = 0n; id < 100n; id++) await lane.peer.send({ kind: "ping", id });
  await settle();
  assert.equal(lane.near.sent.length - before, 1);
  lane.near.stalled = false;
  for (let id = 0n; id < 100n; id++) assert.equal((await lane.peer.expect("pong")).id, id);
});

for (const [asked, window] of [[0, 1], [7, 7], [256, 256], [100_000, 256]] as const) {
  Deno.test(`LaneSender.window is ${window} when the receiver takes ${asked} envelopes`, async () => {
    await using lane = await openLane({ maxUnansweredEnvelopes: asked });
    assert.equal(lane.sender.window, window);
    const sends = Array.from({ length: window + 1 }, () => lane.send(1));
    let received = 0;
    while (received < window) received += (await lane.peer.expect("envelopes")).envelopes.length;
    assert.equal(received, window);
    await settle();
    const sent = lane.near.sent.length;
    await lane.take(1);
    await lane.peer.expect("envelopes");
    assert.equal(lane.near.sent.length, sent + 1);
    await lane.sender.close();
    assert.equal((await Promise.allSettled(sends)).filter(({ status }) => status === "fulfilled").length, 1);
  });
}

Deno.test("LaneSender.retire() ends the lane when all it was given is answered, and not before", async () => {
  await using lane = await openLane();
  const sends = [lane.send(1), lane.send(2)];
  await lane.peer.expect("envelopes");
  lane.sender.retire();
  assert.deepEqual([lane.sender.retiring, lane.sender.gone], [true, false]);
  await lane.take(1, 2);
  assert.deepEqual(await Promise.all(sends), [TAKEN, TAKEN]);
  await lane.sender.ended();
  assert.equal(lane.sender.gone, true);
  await assert.rejects(lane.send(1), unavailable);
});

Deno.test("LaneSender.retire() ends an idle lane at once", async () => {
  await using lane = await openLane();
  lane.sender.retire();
  assert.equal(lane.sender.gone, true);
});
