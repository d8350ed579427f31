import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Stream } from "@libp2p/interface";
import type { CodedError } from "../../core/errors.ts";
import { encodeFrame, frameHeader } from "../../p2p/frames.ts";
import {
  ARTIFACT_STREAM_PROTOCOL,
  type FrameChannel,
  LANE_PROTOCOL,
  MAX_CHANNEL_FRAME_BYTES,
  type P2pLimits,
} from "../../p2p/mod.ts";
import { within } from "../support/patience.ts";
import { readAll, startRawPeer } from "./raw_peer.ts";
import { openTestHost, type TestHost } from "./test_host.ts";

const text = (value: string) => new TextEncoder().encode(value);
const read = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);
const hashOf = (parts: readonly Uint8Array[]) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};
const collect = async (channel: FrameChannel) => {
  const frames: Uint8Array[] = [];
  for await (const frame of channel.frames()) frames.push(frame);
  return frames;
};

interface Pair extends AsyncDisposable {
  a: TestHost;
  b: TestHost;
  /** Opens a channel from a to b: a's end, b's end and what b's handler waits for. */
  open(protocol?: string): Promise<{ near: FrameChannel; far: FrameChannel; release: () => void }>;
}

/** Two hosts of which b takes channels; its handler lasts until `release` is called. */
async function openPair(limits: Partial<P2pLimits> = {}): Promise<Pair> {
  const arrived: { channel: FrameChannel; release: () => void }[] = [];
  const waiting: ((one: { channel: FrameChannel; release: () => void }) => void)[] = [];
  const b = await openTestHost({
    limits,
    channelProtocols: [LANE_PROTOCOL, ARTIFACT_STREAM_PROTOCOL],
    handlers: {
      async onChannel(channel) {
        const held = Promise.withResolvers<void>();
        const one = { channel, release: held.resolve };
        const wake = waiting.shift();
        if (wake === undefined) arrived.push(one);
        else wake(one);
        await held.promise;
      },
    },
  });
  const a = await openTestHost({ limits });
  await a.host.connect(b.peerId, [b.address]);
  const releases: (() => void)[] = [];
  return {
    a,
    b,
    async open(protocol = LANE_PROTOCOL) {
      const near = await a.host.openChannel(b.peerId, protocol);
      const { channel, release } = arrived.shift() ??
        await within(
          "the channel at its handler",
          new Promise<{ channel: FrameChannel; release: () => void }>((resolve) => waiting.push(resolve)),
        );
      releases.push(release);
      return { near, far: channel, release };
    },
    async [Symbol.asyncDispose]() {
      for (const release of releases) release();
      await a[Symbol.asyncDispose]();
      await b[Symbol.asyncDispose]();
    },
  };
}

Deno.test("FrameChannel.send() makes one frame of parts, short and long ones in any order", async () => {
  await using pair = await openPair();
  const { near, far } = await pair.open();
  const bodies = [[], [3], [3, 300_000], [300_000, 3], [65_500, 65_537, 7], [70_000, 70_000]].map((sizes) =>
    sizes.map((size, index) => new Uint8Array(size).fill(index + 1))
  );
  const frames = collect(far);
  for (const parts of bodies) await near.send(parts);
  const tooLong = [new Uint8Array(MAX_CHANNEL_FRAME_BYTES), text("x")];
  await assert.rejects(near.send(tooLong), (error: CodedError) => error.code === "invalid_argument");
  await near.close();
  assert.deepEqual(
    (await frames).map((frame) => hashOf([frame])),
    bodies.map(hashOf),
  );
  await far.close();
});

Deno.test("a channel carries frames of all sizes both ways in order and ends when both sides ended", async () => {
  await using pair = await openPair();
  const { near, far } = await pair.open();
  assert.deepEqual([near.peerId, far.peerId], [pair.b.peerId, pair.a.peerId]);
  const sizes = [0, 1, 5, 65_536, 65_537, 300_000, 0, 16_384, MAX_CHANNEL_FRAME_BYTES, 3];
  const frames = sizes.map((size, index) => new Uint8Array(size).fill(index));
  const back = collect(near);
  const there = collect(far);
  await Promise.all(frames.map((frame) => near.send(frame)));
  await near.close();
  const seen = await there;
  assert.deepEqual(seen.map(({ length }) => length), sizes);
  for (const [index, frame] of seen.entries()) assert.ok(frame.every((byte) => byte === index));
  await Promise.all(frames.slice(0, 5).map((frame) => far.send(frame)));
  await far.close();
  assert.deepEqual((await back).map(({ length }) => length), sizes.slice(0, 5));
  await assert.rejects(near.send(text("late")), { code: "unavailable" });
  await near.close();
});

Deno.test("FrameChannel.send() carries many frames of one tick in order", async () => {
  await using pair = await openPair();
  const { near, far } = await pair.open();
  const count = 20_000;
  const sending = Array.from({ length: count }, (_, index) => near.send(text(`${index}`)));
  const closing = Promise.all(sending).then(() => near.close());
  let expected = 0;
  for await (const frame of far.frames()) assert.equal(read(frame), `${expected++}`);
  assert.equal(expected, count);
  await closing;
});

Deno.test("FrameChannel.send() throws invalid_argument when the frame is too long and sends nothing of it", async () => {
  await using pair = await openPair();
  const { near, far } = await pair.open();
  await assert.rejects(near.send(new Uint8Array(MAX_CHANNEL_FRAME_BYTES + 1)), { code: "invalid_argument" });
  await near.send(text("fits"));
  await near.close();
  assert.deepEqual((await collect(far)).map(read), ["fits"]);
});

Deno.test("FrameChannel.send() waits while the peer does not read, within a bound, and goes on when it does", async () => {
  await using pair = await openPair();
  const { near, far } = await pair.open(ARTIFACT_STREAM_PROTOCOL);
  const frame = new Uint8Array(128 * 1024);
  let sentBytes = 0;
  const blocked = Promise.withResolvers<void>();
  const sending = (async () => {
    for (let i = 0; i < 256; i++) {
      const send = near.send(frame);
      // A write that the transport takes at once settles long before a round trip does.
      const settled = await Promise.race([
        send.then(() => true),
        pair.a.host.ping(pair.b.peerId).then(() => false),
      ]);
      if (!settled) blocked.resolve();
      await send;
      sentBytes += frame.length;
    }
    await near.close();
  })();
  await blocked.promise;
  await pair.a.host.ping(pair.b.peerId);
  assert.ok(sentBytes <= 4 * 1024 * 1024, `${sentBytes} bytes were taken without a reader`);
  assert.equal((await collect(far)).length, 256);
  await sending;
});

Deno.test("FrameChannel.send() throws deadline_exceeded when the write stands still and the channel is then gone", async () => {
  await using pair = await openPair({ writeStallTimeoutMs: 30 });
  const { near, far } = await pair.open();
  const send = near.send(new Uint8Array(8 * 1024 * 1024));
  await assert.rejects(send, (error: CodedError) => error.code === "deadline_exceeded");
  await assert.rejects(near.send(text("x")), { code: "deadline_exceeded" });
  await assert.rejects(collect(far), { code: "unavailable" });
});

Deno.test("FrameChannel.send() throws by its signal without harm to the channel", async () => {
  await using pair = await openPair();
  const { near, far } = await pair.open();
  const giveUp = new AbortController();
  const big = near.send(new Uint8Array(8 * 1024 * 1024), { signal: giveUp.signal });
  giveUp.abort();
  await assert.rejects(big, { code: "cancelled" });
  await assert.rejects(near.send(text("x"), { signal: giveUp.signal }), { code: "cancelled" });
  const sending = near.send(text("after")).then(() => near.close());
  assert.deepEqual((await collect(far)).map(({ length }) => length), [8 * 1024 * 1024, 5]);
  await sending;
});

Deno.test("FrameChannel.abort() resets the stream: the peer's reader and our own waits fail", async () => {
  await using pair = await openPair();
  const { near, far } = await pair.open();
  const reading = collect(near);
  const sending = near.send(new Uint8Array(8 * 1024 * 1024));
  const ours = new Error("enough");
  near.abort(ours);
  await assert.rejects(sending, { code: "unavailable" });
  await assert.rejects(reading, { code: "unavailable", message: /enough/ });
  await assert.rejects(collect(far), { code: "unavailable" });
  await assert.rejects(far.send(text("x")), { code: "unavailable" });
  near.abort(ours);
  await near.close();
});

Deno.test("FrameChannel.frames() delivers what arrived before the connection was cut, then throws", async () => {
  await using pair = await openPair();
  const { near, far } = await pair.open();
  await near.send(text("one"));
  await near.send(text("two"));
  const frames = far.frames()[Symbol.asyncIterator]();
  assert.equal(read((await frames.next()).value), "one");
  const second = await frames.next();
  assert.equal(read(second.value), "two");
  const third = assert.rejects(frames.next(), { code: "unavailable" });
  await pair.a[Symbol.asyncDispose]();
  await third;
  await assert.rejects(near.send(text("x")), { code: "unavailable" });
});

Deno.test("a reader that leaves ends nothing else, and a second reader is refused", async () => {
  await using pair = await openPair();
  const { near, far } = await pair.open();
  await near.send(text("one"));
  for await (const frame of far.frames()) {
    assert.equal(read(frame), "one");
    break;
  }
  assert.throws(() => far.frames(), TypeError);
  await far.send(text("back"));
  await far.close();
  assert.deepEqual((await collect(near)).map(read), ["back"]);
});

Deno.test("openChannel() is unimplemented when the peer does not speak the protocol, at the latest when it is read", async () => {
  await using a = await openTestHost();
  await using b = await openTestHost({ channelProtocols: [ARTIFACT_STREAM_PROTOCOL] });
  await a.host.connect(b.peerId, [b.address]);
  const openAndRead = async () => await collect(await a.host.openChannel(b.peerId, LANE_PROTOCOL));
  await assert.rejects(openAndRead(), { code: "unimplemented" });
  const channel = await a.host.openChannel(b.peerId, ARTIFACT_STREAM_PROTOCOL);
  assert.deepEqual(await collect(channel), []);
  await channel.close();
});

Deno.test("onChannel() that throws is logged and resets its stream alone", async () => {
  await using b = await openTestHost({
    channelProtocols: [LANE_PROTOCOL],
    handlers: { onChannel: () => Promise.reject(new Error("no lane today")) },
  });
  await using a = await openTestHost();
  await a.host.connect(b.peerId, [b.address]);
  const channel = await a.host.openChannel(b.peerId, LANE_PROTOCOL);
  await assert.rejects(collect(channel), { code: "unavailable" });
  await b.until(() => b.lines.some((line) => line.includes("WARN") && line.includes("no lane today")));
  assert.ok(a.host.isConnected(b.peerId));
});

Deno.test("a peer gets no more channels than its limit", async () => {
  await using pair = await openPair({ inboundLanesPerPeer: 2 });
  const first = await pair.open();
  await pair.open();
  await assert.rejects(
    pair.a.host.openChannel(pair.b.peerId, LANE_PROTOCOL).then(collect),
    { code: "unavailable" },
  );
  await pair.open(ARTIFACT_STREAM_PROTOCOL);
  const ended = collect(first.near);
  first.release();
  assert.deepEqual(await ended, []);
  await first.near.close();
  await pair.a.host.ping(pair.b.peerId);
  const again = await pair.open();
  await again.near.send(text("x"));
});

Deno.test("a channel that is idle between frames stays, one whose frame stops half-way is reset", async () => {
  await using host = await openTestHost({
    channelProtocols: [LANE_PROTOCOL],
    limits: { frameTimeoutMs: 20 },
    handlers: {
      async onChannel(channel) {
        for await (const frame of channel.frames()) await channel.send(frame);
      },
    },
  });
  await using peer = await startRawPeer();
  const idle = await peer.open(host, LANE_PROTOCOL);
  idle.send(encodeFrame(text("begin")));
  const stopped = await peer.open(host, LANE_PROTOCOL);
  stopped.send(Uint8Array.fromHex("0000000561"));
  await assert.rejects(readAll(stopped), { name: "StreamResetError" });
  // By now the other one has been idle for longer than a frame may take.
  idle.send(encodeFrame(text("end")));
  await idle.close();
  assert.equal(
    (await readAll(idle)).toHex(),
    encodeFrame(text("begin")).toHex() + encodeFrame(text("end")).toHex(),
  );
});

Deno.test("a frame that is too long or cut ends its channel, and bytes beyond the budget do", async () => {
  const reasons: string[] = [];
  await using host = await openTestHost({
    channelProtocols: [LANE_PROTOCOL],
    limits: { maxInboundBytesPerPeer: 100_000 },
    handlers: {
      async onChannel(channel) {
        try {
          await collect(channel);
        } catch (error) {
          reasons.push((error as CodedError).code);
          throw error;
        }
      },
    },
  });
  await using peer = await startRawPeer();
  const send = async (write: (stream: Stream) => unknown) => {
    const stream = await peer.open(host, LANE_PROTOCOL);
    await write(stream);
    await assert.rejects(readAll(stream), { name: "StreamResetError" });
  };
  await send((stream) => stream.send(frameHeaderOf(MAX_CHANNEL_FRAME_BYTES + 1)));
  await send((stream) => (stream.send(Uint8Array.fromHex("0000000561")), stream.close()));
  await send((stream) => (stream.send(frameHeaderOf(200_000)), stream.send(new Uint8Array(150_000))));
  assert.deepEqual(reasons, ["out_of_range", "data_loss", "resource_exhausted"]);
});

function frameHeaderOf(byteLength: number): Uint8Array {
  return frameHeader(byteLength, Number.MAX_SAFE_INTEGER);
}

Deno.test("disposing a host gives up its channels", async () => {
  await using pair = await openPair();
  const { near, far, release } = await pair.open();
  const waiting = assert.rejects(collect(near), { code: "unavailable" });
  const theirs = assert.rejects(collect(far), { code: "unavailable" });
  const closing = pair.a[Symbol.asyncDispose]();
  await Promise.all([waiting, theirs]);
  release();
  await closing;
  await assert.rejects(pair.a.host.openChannel(pair.b.peerId, LANE_PROTOCOL), { code: "unavailable" });
});

Deno.test("remember() lets a host dial a peer again that it never dialed, and skips what is malformed", async () => {
  await using a = await openTestHost();
  await using b = await openTestHost();
  await a.host.remember(b.peerId, ["nonsense", a.address, b.address]);
  assert.equal(a.lines.filter((line) => line.includes("Skipped an address")).length, 2);
  assert.deepEqual(a.host.peers(), []);
  await a.host.connect(b.peerId, []);
  await a.host.remember("nobody", ["/ip4/127.0.0.1/tcp/1"]);
  await a.host.remember(a.peerId, [b.address]);
});
