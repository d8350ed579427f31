import assert from "node:assert/strict";
import type { Answer } from "../../../a2a/mod.ts";
import { silentLogger } from "../../../core/log.ts";
import type { LaneLimits } from "../../../daemon/peer/lane_codec.ts";
import { serveLane } from "../../../daemon/peer/lane_receiver.ts";
import { LaneSender } from "../../../daemon/peer/lane_sender.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FramePlayer, memoryChannels, settle } from "./memory_channel.ts";

const LIMITS: LaneLimits = { maxUnansweredEnvelopes: 4, maxUnansweredBytes: 1000, maxEnvelopeBytes: 2000 };
const TAKEN: Answer = { outcome: "taken" };
const envelope = (number: number, size = 1) => ({ number, bytes: new Uint8Array(size).fill(number) });

/** A served lane whose opener is played by the test; each envelope waits for `answer`. */
async function openServed({ greet = true, limits = LIMITS } = {}) {
  const [near, far] = memoryChannels();
  const judging: PromiseWithResolvers<Answer>[] = [];
  const seen: Uint8Array[] = [];
  const receive = (bytes: Uint8Array) => {
    seen.push(bytes);
    const judged = Promise.withResolvers<Answer>();
    judging.push(judged);
    return judged.promise;
  };
  const served = serveLane(far, { receive }, limits);
  served.catch(() => {
    // Looked at by the test.
  });
  const peer = new FramePlayer(near);
  assert.deepEqual((await peer.expect("hello")).limits, limits);
  if (greet) await peer.send({ kind: "hello", limits });
  return { near, far, peer, judging, seen, served };
}

Deno.test("serveLane() starts envelopes in order without waiting and answers each when it is judged", async () => {
  const lane = await openServed();
  await lane.peer.send({ kind: "envelopes", envelopes: [envelope(1), envelope(2)] });
  await lane.peer.send({ kind: "envelopes", envelopes: [envelope(3)] });
  await settle();
  assert.deepEqual(lane.seen.map(([first]) => first), [1, 2, 3]);
  assert.equal(lane.far.sent.length, 1);
  lane.judging[1]!.resolve({ outcome: "busy", reason: "full" });
  assert.deepEqual((await lane.peer.expect("answers")).answers, [
    { number: 2, answer: { outcome: "busy", reason: "full" } },
  ]);
  lane.judging[0]!.resolve(TAKEN);
  lane.judging[2]!.resolve({ outcome: "refused", reason: "no" });
  assert.deepEqual((await lane.peer.expect("answers")).answers, [
    { number: 1, answer: TAKEN },
    { number: 3, answer: { outcome: "refused", reason: "no" } },
  ]);
  await lane.near.close();
  await lane.served;
  assert.ok(lane.far.closed);
});

Deno.test("serveLane() answers what is under way when the opener has ended, then ends", async () => {
  const lane = await openServed();
  await lane.peer.send({ kind: "envelopes", envelopes: [envelope(1)] });
  await lane.near.close();
  await settle();
  assert.equal(lane.far.closed, false);
  lane.judging[0]!.resolve(TAKEN);
  assert.deepEqual((await lane.peer.expect("answers")).answers, [{ number: 1, answer: TAKEN }]);
  await lane.served;
  assert.ok(lane.far.closed);
});

Deno.test("serveLane() answers busy when judging fails against its promise", async () => {
  const lane = await openServed();
  await lane.peer.send({ kind: "envelopes", envelopes: [envelope(1)] });
  await settle();
  lane.judging[0]!.reject(new Error("broken"));
  const [one] = (await lane.peer.expect("answers")).answers;
  assert.equal(one?.answer.outcome, "busy");
  await lane.near.close();
  await lane.served;
});

Deno.test("serveLane() gathers answers while the transport is busy", async () => {
  const lane = await openServed();
  await lane.peer.send({ kind: "envelopes", envelopes: [1, 2, 3, 4].map((number) => envelope(number)) });
  await settle();
  lane.far.stalled = true;
  for (const judged of lane.judging) {
    judged.resolve(TAKEN);
    await settle();
  }
  assert.equal((await lane.peer.expect("answers")).answers.length, 1);
  lane.far.stalled = false;
  assert.deepEqual((await lane.peer.expect("answers")).answers.map(({ number }) => number), [2, 3, 4]);
  await lane.near.close();
  await lane.served;
});

Deno.test("serveLane() takes an envelope beyond its bytes when it is alone", async () => {
  const lane = await openServed();
  await lane.peer.send({ kind: "envelopes", envelopes: [envelope(1, 1500)] });
  await settle();
  lane.judging[0]!.resolve(TAKEN);
  await lane.peer.expect("answers");
  await lane.near.close();
  await lane.served;
});

Deno.test("serveLane() resets a lane whose opener breaks the protocol", async () => {
  type Served = Awaited<ReturnType<typeof openServed>>;
  const faults: Record<string, (lane: Served) => Promise<void>> = {
    "no hello": ({ peer }) => peer.send({ kind: "envelopes", envelopes: [envelope(1)] }),
    "second hello": async ({ peer }) => {
      await peer.send({ kind: "hello", limits: LIMITS });
      await peer.send({ kind: "hello", limits: LIMITS });
    },
    "gap": async ({ peer }) => {
      await peer.send({ kind: "hello", limits: LIMITS });
      await peer.send({ kind: "envelopes", envelopes: [envelope(1), envelope(3)] });
    },
    "repetition": async ({ peer }) => {
      await peer.send({ kind: "hello", limits: LIMITS });
      await peer.send({ kind: "envelopes", envelopes: [envelope(1), envelope(1)] });
    },
    "too many": async ({ peer }) => {
      await peer.send({ kind: "hello", limits: LIMITS });
      await peer.send({ kind: "envelopes", envelopes: [1, 2, 3, 4, 5].map((number) => envelope(number)) });
    },
    "too many bytes": async ({ peer }) => {
      await peer.send({ kind: "hello", limits: LIMITS });
      await peer.send({ kind: "envelopes", envelopes: [envelope(1, 600), envelope(2, 600)] });
    },
    "too long": async ({ peer }) => {
      await peer.send({ kind: "hello", limits: LIMITS });
      await peer.send({ kind: "envelopes", envelopes: [envelope(1, 2001)] });
    },
    "answers": async ({ peer }) => {
      await peer.send({ kind: "hello", limits: LIMITS });
      await peer.send({ kind: "answers", answers: [{ number: 1, answer: TAKEN }] });
    },
    "garbage": ({ near }) => near.send(Uint8Array.fromHex("ffffffff")),
  };
  for (const [name, fault] of Object.entries(faults)) {
    const lane = await openServed({ greet: false });
    await fault(lane);
    await settle();
    for (const judged of lane.judging) judged.resolve(TAKEN);
    await assert.rejects(lane.served, { code: "invalid_argument" }, name);
    assert.ok(lane.far.aborted, name);
  }
});

Deno.test("serveLane() gives up an opener that sends and does not read its answers", async () => {
  const lane = await openServed();
  lane.far.stalled = true;
  let number = 0;
  for (let round = 0; round < 100 && lane.far.aborted === undefined; round++) {
    await lane.peer.send({ kind: "envelopes", envelopes: [envelope(++number)] });
    await settle();
    lane.judging.at(-1)!.resolve(TAKEN);
    await settle();
  }
  assert.ok(number <= LIMITS.maxUnansweredEnvelopes * 16 + 2, `${number} envelopes were taken`);
  await assert.rejects(lane.served, { code: "resource_exhausted" });
});

Deno.test("serveLane() lets what is under way be judged when the lane is lost", async () => {
  const lane = await openServed();
  await lane.peer.send({ kind: "envelopes", envelopes: [envelope(1)] });
  await settle();
  lane.near.abort(new Error("cut"));
  let ended = false;
  const rejected = assert.rejects(lane.served, { code: "unavailable" }).then(() => ended = true);
  await settle();
  assert.equal(ended, false);
  lane.judging[0]!.resolve(TAKEN);
  await rejected;
});

Deno.test("a lane carries thousands of envelopes in order within a small window", async () => {
  const [near, far] = memoryChannels();
  const order: number[] = [];
  let [underWay, most] = [0, 0];
  const receive = async (bytes: Uint8Array): Promise<Answer> => {
    const index = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
    order.push(index);
    most = Math.max(most, ++underWay);
    if (index % 3 === 0) await settle();
    underWay--;
    return index % 5 === 0 ? { outcome: "refused", reason: `${index}` } : TAKEN;
  };
  const served = serveLane(far, { receive }, { ...LIMITS, maxUnansweredEnvelopes: 16 });
  const { signal } = new AbortController();
  const sender = LaneSender.open(near, { clock: new FakeClock(), logger: silentLogger });
  const count = 2000;
  const answers = await Promise.all(
    Array.from({ length: count }, (_, index) => {
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setUint32(0, index);
      return sender.send(bytes, { signal });
    }),
  );
  assert.deepEqual(order, Array.from({ length: count }, (_, index) => index));
  assert.ok(most <= 16 && most > 1, `${most} under way`);
  for (const [index, answer] of answers.entries()) {
    assert.deepEqual(answer, index % 5 === 0 ? { outcome: "refused", reason: `${index}` } : TAKEN);
  }
  await sender.close();
  await served.catch((error) => assert.equal(error.code, "unavailable"));
});
