import assert from "node:assert/strict";
import type { Stream } from "@libp2p/interface";
import type { CodedError } from "../../core/errors.ts";
import { encodeFrame } from "../../p2p/frames.ts";
import { A2A_PROTOCOL, CARD_PROTOCOL } from "../../p2p/mod.ts";
import { readAll, startRawPeer } from "./raw_peer.ts";
import { openTestHost, type TestHost } from "./test_host.ts";

const reset = { name: "StreamResetError" };
const text = (value: string) => new TextEncoder().encode(value);

/** Ends without an error only when the host still serves the peer. */
async function assertServes(host: TestHost, stream: Stream): Promise<void> {
  const before = host.frames.length;
  stream.send(encodeFrame(text("still there?")));
  await stream.close();
  await host.until(() => host.frames.length === before + 1);
  assert.equal((await readAll(stream)).length, 0);
}

Deno.test("an A2A stream delivers its frames in order and carries nothing back", async () => {
  await using host = await openTestHost();
  await using peer = await startRawPeer();
  const stream = await peer.open(host, A2A_PROTOCOL);
  const bodies = Array.from({ length: 100 }, (_, i) => text("x".repeat(i * 7)));
  for (const body of bodies) stream.send(encodeFrame(body));
  await stream.close();
  assert.equal((await readAll(stream)).length, 0);
  assert.deepEqual(host.frames.map(({ frame }) => frame.length), bodies.map(({ length }) => length));
  assert.ok(host.frames.every(({ peerId }) => peerId === peer.peerId));
});

Deno.test("an oversized, garbled or cut frame ends its stream and harms nothing else", async () => {
  await using host = await openTestHost();
  await using peer = await startRawPeer();
  for (const protocol of [A2A_PROTOCOL, CARD_PROTOCOL]) {
    for (const bytes of ["01000001", "ffffffff00", "474554202f20485454502f312e310d0a0d0a"]) {
      const stream = await peer.open(host, protocol);
      stream.send(Uint8Array.fromHex(bytes));
      await assert.rejects(readAll(stream), reset, `${protocol} ${bytes}`);
    }
    const cut = await peer.open(host, protocol);
    cut.send(Uint8Array.fromHex("0000000561"));
    await cut.close();
    await assert.rejects(readAll(cut), reset, protocol);
  }
  assert.deepEqual(host.frames, []);
  await assertServes(host, await peer.open(host, A2A_PROTOCOL));
});

Deno.test("connections that speak no libp2p or say nothing harm nothing else", async () => {
  await using host = await openTestHost();
  await using peer = await startRawPeer();
  const port = Number(/tcp\/(\d+)/.exec(host.address)?.[1]);
  using _silent = await Deno.connect({ hostname: "127.0.0.1", port });
  using garbled = await Deno.connect({ hostname: "127.0.0.1", port });
  await garbled.write(new Uint8Array(100_000).fill(0xff));
  using web = await Deno.connect({ hostname: "127.0.0.1", port });
  await web.write(text("GET / HTTP/1.1\r\n\r\n"));
  await assertServes(host, await peer.open(host, A2A_PROTOCOL));
  assert.deepEqual(host.host.peers().map(({ peerId }) => peerId), [peer.peerId]);
});

Deno.test("a frame that does not arrive in time ends its stream", async () => {
  // Long enough for the stream to be open still when the half of a frame is sent.
  await using host = await openTestHost({ limits: { frameTimeoutMs: 1_000 } });
  await using peer = await startRawPeer();
  const stream = await peer.open(host, A2A_PROTOCOL);
  stream.send(Uint8Array.fromHex("0000000561"));
  await assert.rejects(readAll(stream), reset);
});

Deno.test("a peer gets no more streams than its limit, over all its connections", async () => {
  const release = Promise.withResolvers<void>();
  let running = 0;
  await using host = await openTestHost({
    limits: { inboundStreamsPerPeer: 3 },
    handlers: {
      onA2aFrame() {
        running++;
        return release.promise;
      },
    },
  });
  await using peer = await startRawPeer();
  const held: Stream[] = [];
  for (let i = 0; i < 3; i++) {
    const stream = await peer.open(host, A2A_PROTOCOL);
    stream.send(encodeFrame(text("hold")));
    held.push(stream);
  }
  await peer.barrier(host);
  assert.equal(running, 3);
  const second = await peer.libp2p.dial(peer.libp2p.getConnections()[0]!.remoteAddr, { force: true });
  assert.equal(peer.libp2p.getConnections().length, 2);
  await assert.rejects(second.newStream(A2A_PROTOCOL).then(readAll), reset);
  release.resolve();
  for (const stream of held) await stream.close();
  for (const stream of held) assert.equal((await readAll(stream)).length, 0);
  assert.equal((await peer.open(host, A2A_PROTOCOL)).status, "open");
});

Deno.test("a peer that announces more than its share of bytes loses the stream that exceeds it", async () => {
  await using host = await openTestHost({ limits: { maxInboundBytesPerPeer: 100_000 } });
  await using peer = await startRawPeer();
  const first = await peer.open(host, A2A_PROTOCOL);
  first.send(Uint8Array.fromHex("00ffffff"));
  first.send(new Uint8Array(80_000));
  await peer.barrier(host);
  const second = await peer.open(host, A2A_PROTOCOL);
  second.send(Uint8Array.fromHex("00ffffff"));
  second.send(new Uint8Array(30_000));
  await assert.rejects(readAll(second), reset);
  assert.equal(first.status, "open");
  first.abort(new Error("given up"));
  await assertServes(host, await peer.open(host, A2A_PROTOCOL));
});

Deno.test("a slow handler holds its peer back instead of filling the memory", async () => {
  const frameBytes = 64 * 1024;
  const frameCount = 256;
  const release = Promise.withResolvers<void>();
  let handled = 0;
  await using host = await openTestHost({
    handlers: {
      async onA2aFrame(_peerId, frame) {
        assert.equal(frame.length, frameBytes);
        handled++;
        await release.promise;
      },
    },
  });
  await using peer = await startRawPeer();
  const stream = await peer.open(host, A2A_PROTOCOL);
  for (let i = 0; i < frameCount; i++) stream.send(encodeFrame(new Uint8Array(frameBytes)));
  await peer.barrier(host);
  await peer.barrier(host);
  assert.equal(handled, 1);
  const taken = frameBytes * frameCount - stream.writeBufferLength;
  assert.ok(taken <= 2 * 1024 * 1024, `${taken} bytes left the sender`);
  release.resolve();
  await stream.close();
  assert.equal((await readAll(stream)).length, 0);
  assert.equal(handled, frameCount);
});

Deno.test("sendA2aFrame() throws deadline_exceeded when the peer stops taking bytes", async () => {
  await using host = await openTestHost({ limits: { writeStallTimeoutMs: 50 } });
  await using peer = await startRawPeer({ listen: true });
  const opened = Promise.withResolvers<Stream>();
  await peer.libp2p.handle(A2A_PROTOCOL, (stream) => {
    stream.pause();
    opened.resolve(stream);
  });
  await host.host.connect(peer.peerId, [peer.libp2p.getMultiaddrs()[0]!.toString()]);
  await assert.rejects(
    host.host.sendA2aFrame(peer.peerId, new Uint8Array(4 * 1024 * 1024)),
    (error: CodedError) => {
      assert.equal(error.code, "deadline_exceeded", error.message);
      return true;
    },
  );
  const stream = await opened.promise;
  await peer.barrier(host);
  assert.equal(stream.status, "reset");
});

Deno.test("sendA2aFrame() throws cancelled by its signal and resets the stream", async () => {
  await using host = await openTestHost();
  await using peer = await startRawPeer({ listen: true });
  const opened = Promise.withResolvers<Stream>();
  await peer.libp2p.handle(A2A_PROTOCOL, (stream) => {
    stream.pause();
    opened.resolve(stream);
  });
  await host.host.connect(peer.peerId, [peer.libp2p.getMultiaddrs()[0]!.toString()]);
  const giveUp = new AbortController();
  const sending = host.host.sendA2aFrame(peer.peerId, new Uint8Array(4 * 1024 * 1024), {
    signal: giveUp.signal,
  });
  await opened.promise;
  giveUp.abort();
  await assert.rejects(sending, { code: "cancelled" });
});

Deno.test("streams to a peer without our protocols throw unimplemented", async () => {
  await using host = await openTestHost();
  await using peer = await startRawPeer({ listen: true });
  await host.host.connect(peer.peerId, [peer.libp2p.getMultiaddrs()[0]!.toString()]);
  await assert.rejects(host.host.sendA2aFrame(peer.peerId, text("x")), { code: "unimplemented" });
  await assert.rejects(host.host.exchangeCard(peer.peerId, text("x")), { code: "unimplemented" });
});

Deno.test("exchangeCard() throws deadline_exceeded when the peer keeps silent and out_of_range when it exaggerates", async () => {
  await using impatient = await openTestHost({ limits: { frameTimeoutMs: 50 } });
  await using host = await openTestHost();
  await using peer = await startRawPeer({ listen: true });
  const addresses = [peer.libp2p.getMultiaddrs()[0]!.toString()];
  await impatient.host.connect(peer.peerId, addresses);
  await host.host.connect(peer.peerId, addresses);
  await peer.libp2p.handle(CARD_PROTOCOL, () => {});
  await assert.rejects(impatient.host.exchangeCard(peer.peerId, text("x")), { code: "deadline_exceeded" });
  await peer.libp2p.unhandle(CARD_PROTOCOL);
  await peer.libp2p.handle(CARD_PROTOCOL, (stream) => {
    stream.send(Uint8Array.fromHex("01000001"));
  });
  await assert.rejects(host.host.exchangeCard(peer.peerId, text("x")), { code: "out_of_range" });
});
