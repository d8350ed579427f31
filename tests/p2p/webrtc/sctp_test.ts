import assert from "node:assert/strict";
import { DataChannels } from "../../../p2p/webrtc/data_channels.ts";
import { SctpAssociation, SILENCE_MS, TICK_MS } from "../../../p2p/webrtc/sctp_association.ts";
import {
  CHUNK,
  encodeChunk,
  encodeData,
  encodePacket,
  parseData,
  parsePacket,
  parseSack,
} from "../../../p2p/webrtc/sctp_packet.ts";
import {
  type Message,
  messageCost,
  RECEIVE_WINDOW_BYTES,
  SctpReceiver,
} from "../../../p2p/webrtc/sctp_receiver.ts";
import { SctpSender } from "../../../p2p/webrtc/sctp_sender.ts";

/** What becomes of the packets on their way to a side. */
type Way = (packet: Uint8Array, to: "a" | "b", deliver: (packet: Uint8Array) => void) => void;

const atOnce: Way = (packet, _to, deliver) => queueMicrotask(() => deliver(packet));

class Side {
  readonly messages: Message[] = [];
  readonly ended: number[] = [];
  readonly closed: (string | undefined)[] = [];
  nowMs = 0;
  #changed = new Set<() => void>();
  readonly channels: DataChannels;
  readonly sctp: SctpAssociation;

  constructor(
    begins: boolean,
    send: (packet: Uint8Array) => void,
    { hasChannels = false, reads = true } = {},
  ) {
    this.sctp = new SctpAssociation({
      begins,
      send,
      now: () => this.nowMs,
      onMessage: (message) => {
        if (hasChannels) this.channels.onMessage(message);
        else {
          this.messages.push(message);
          if (reads) this.sctp.release(messageCost(message.content));
        }
        this.changed();
      },
      onStreamsEnded: (streams) => {
        this.ended.push(...streams);
        this.channels.onStreamsEnded(streams);
        this.changed();
      },
      onStreamsReset: (streams) => this.channels.onStreamsReset(streams),
      onProgress: () => this.changed(),
      onClosed: (reason) => {
        this.closed.push(reason?.message);
        this.changed();
      },
    });
    this.channels = new DataChannels(this.sctp, begins ? "client" : "server");
  }

  changed(): void {
    for (const check of this.#changed) check();
  }

  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!condition()) return;
        this.#changed.delete(check);
        resolve();
      };
      this.#changed.add(check);
      check();
    });
  }
}

async function connect(
  { way = atOnce, both = false, ...options }: {
    way?: Way;
    both?: boolean;
    hasChannels?: boolean;
    reads?: boolean;
  } = {},
) {
  const deliver = (side: () => Side) => (packet: Uint8Array) => {
    try {
      side().sctp.receive(packet);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      side().closed.push(error.message);
      side().changed();
    }
  };
  const a: Side = new Side(true, (packet) => way(packet, "b", deliver(() => b)), options);
  const b: Side = new Side(both, (packet) => way(packet, "a", deliver(() => a)), options);
  a.sctp.start();
  b.sctp.start();
  await Promise.all([a.sctp.established, b.sctp.established]);
  return {
    a,
    b,
    [Symbol.dispose]() {
      a.sctp.close();
      b.sctp.close();
    },
  };
}

/** Loses, doubles and overtakes, the same each time; what is on the way when it ends is waited for. */
function badWay(): { way: Way; idle(): Promise<unknown> } {
  const underWay = new Set<Promise<void>>();
  let seed = 7;
  const random = () => (seed = seed * 48271 % 0x7fffffff) / 0x7fffffff;
  const later = (work: () => void, ms: number) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    underWay.add(promise);
    setTimeout(() => {
      underWay.delete(promise);
      resolve();
      work();
    }, ms);
  };
  return {
    way(packet, _to, deliver) {
      const dice = random();
      if (dice < 0.05) return;
      later(() => deliver(packet), dice < 0.15 ? 2 : 0);
      if (dice > 0.95) later(() => deliver(packet), 1);
    },
    idle: () => Promise.all(underWay),
  };
}

const bytes = (length: number, seed = 0) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) % 251);

Deno.test("messages of several streams arrive whole and each stream's in order over a bad way", async () => {
  const { way, idle } = badWay();
  const net = await connect({ way, both: true });
  const { a, b } = net;
  const sizes = [1, 1_164, 1_165, 16_384, 9_000];
  for (let i = 0; i < 60; i++) a.sctp.send(i % 3, 53, bytes(sizes[i % sizes.length]!, i));
  b.sctp.send(5, 51, bytes(3_000, 9));
  await Promise.all([b.until(() => b.messages.length === 60), a.until(() => a.messages.length === 1)]);
  for (let stream = 0; stream < 3; stream++) {
    const got = b.messages.filter((message) => message.stream === stream).map(({ content }) => content);
    const sent = Array.from({ length: 20 }, (_, k) => 3 * k + stream).map((i) =>
      bytes(sizes[i % sizes.length]!, i)
    );
    assert.deepEqual(got, sent);
  }
  assert.deepEqual(a.messages[0]?.content, bytes(3_000, 9));
  net[Symbol.dispose]();
  await idle();
});

Deno.test("a reader that does not read takes room from the sender, who goes on when it reads", async () => {
  using net = await connect({ reads: false });
  const { a, b } = net;
  for (let i = 0; i < 200; i++) a.sctp.send(2, 53, bytes(16_000, i));
  let released = 0;
  let mostHeld = 0;
  const heldBytes = () => {
    const bytes = 16_000 * (b.messages.length - released);
    mostHeld = Math.max(mostHeld, bytes);
    return bytes;
  };
  await b.until(() => heldBytes() > RECEIVE_WINDOW_BYTES - 40_000);
  assert.ok(a.sctp.unsentBytes(2) > 1_500_000);
  while (b.messages.length < 200) {
    for (; released < b.messages.length; released++) {
      b.sctp.release(messageCost(b.messages[released]!.content));
    }
    const before = b.messages.length;
    await b.until(() => heldBytes() >= 0 && (b.messages.length > before || b.messages.length === 200));
  }
  assert.ok(mostHeld <= RECEIVE_WINDOW_BYTES + 64 * 1024, `${mostHeld} bytes were held`);
  assert.deepEqual(b.messages.at(-1)?.content, bytes(16_000, 199));
});

Deno.test("a peer that is silent for too long is gone; one that is idle answers", async () => {
  using net = await connect();
  const { a, b } = net;
  a.nowMs = b.nowMs = TICK_MS;
  a.sctp.tick();
  await new Promise((resolve) => setTimeout(resolve, 0));
  a.nowMs += SILENCE_MS - 1;
  a.sctp.tick();
  assert.deepEqual(a.closed, []);
  a.nowMs += SILENCE_MS + 1;
  await new Promise((resolve) => setTimeout(resolve, 0));
  a.nowMs += SILENCE_MS + 1;
  a.sctp.tick();
  assert.match(String(a.closed[0]), /nothing has been heard of the peer for 10 s/);
});

Deno.test("SctpReceiver is not made to hold more than its window, nor to join what does not fit", () => {
  const messages: Message[] = [];
  const receiver = new SctpReceiver(1, (message) => messages.push(message));
  const chunk = (tsn: number, first: boolean, last: boolean, length = 1_000) => ({
    ...{ tsn, stream: 1, protocol: 53, first, last },
    content: new Uint8Array(length),
  });
  for (let tsn = 3; tsn < 6_000; tsn++) receiver.take(chunk(tsn, true, true));
  receiver.take(chunk(0x80000001, true, true));
  assert.equal(messages.length, 0);
  assert.equal(receiver.window, 0);
  assert.ok(receiver.toSack().gaps.every(([from, to]) => to - from < 1_100));
  const fresh = new SctpReceiver(0xffffffff, (message) => messages.push(message));
  fresh.take(chunk(0, false, true, 2));
  fresh.take(chunk(0xffffffff, true, false, 1));
  assert.deepEqual(messages.map(({ content }) => content.length), [3]);
  assert.equal(fresh.cumulative, 0);
  assert.throws(() => fresh.take(chunk(1, false, true)), /do not fit together/);
  const endless = new SctpReceiver(1, () => {});
  assert.throws(() => {
    for (let tsn = 1; tsn < 100; tsn++) endless.take(chunk(tsn, tsn === 1, false));
  }, /too long/);
});

Deno.test("SctpReceiver takes what fills a gap, however much is beyond it", () => {
  let count = 0;
  const receiver: SctpReceiver = new SctpReceiver(1, ({ content }) => {
    count++;
    receiver.release(messageCost(content));
  });
  const take = (tsn: number) =>
    receiver.take({ tsn, stream: 1, protocol: 53, first: true, last: true, content: new Uint8Array(500) });
  // A sender counts the bytes alone, so that it may fill the window with more than there is room for.
  const sent = Math.floor(RECEIVE_WINDOW_BYTES / 500);
  for (let tsn = 2; tsn <= sent; tsn++) take(tsn);
  assert.equal(receiver.window, 0);
  for (let tsn = 1; tsn <= sent; tsn++) take(tsn);
  assert.equal(count, sent);
  assert.equal(receiver.window, RECEIVE_WINDOW_BYTES);
});

Deno.test("SctpSender ignores acknowledgements of what it never sent, and sends again what is reported missing", () => {
  const sender = new SctpSender(10, () => 0);
  sender.open(100_000);
  sender.queue(1, 53, bytes(5_000));
  const sent = sender.take(1_180);
  assert.equal(sent.length, 1);
  assert.equal(sender.acknowledge({ cumulative: 5_000, window: 1, gaps: [] }), false);
  assert.equal(sender.acknowledge({ cumulative: 0x90000000, window: 1, gaps: [[0, 65_535]] }), false);
  while (sender.take(1_180).length > 0);
  for (let i = 0; i < 3; i++) sender.acknowledge({ cumulative: 9, window: 100_000, gaps: [[2 + i, 2 + i]] });
  assert.deepEqual(sender.take(1_180), sent);
  sender.acknowledge({ cumulative: sender.lastTsn, window: 100_000, gaps: [] });
  assert.ok(!sender.isWaiting);
});

Deno.test("packets that are damaged, cut or out of place are refused", async () => {
  const content = encodeData(
    { tsn: 1, stream: 2, protocol: 53, first: true, last: true, content: bytes(10) },
    0,
  );
  const packet = encodePacket(1, [content]);
  // The checksum of RFC 9260 over nine digits, whose value is known.
  assert.equal(parsePacket(packet).chunks.length, 1);
  for (let i = 0; i < packet.length; i++) {
    const damaged = packet.slice();
    damaged[i]! ^= 1;
    assert.throws(() => parsePacket(damaged), SyntaxError);
    assert.throws(() => parsePacket(packet.subarray(0, i)), SyntaxError);
  }
  const sack = { type: 3, flags: 0, body: Uint8Array.fromHex("000000010000000100ff0000") };
  assert.throws(() => parseSack(sack), SyntaxError);
  using net = await connect();
  net.b.sctp.receive(encodePacket(12345, [content]));
  assert.deepEqual(net.b.messages, []);
});

Deno.test("DataChannels opens, closes and uses numbers again, whoever closes", async () => {
  using net = await connect({ hasChannels: true });
  const { a, b } = net;
  const got: string[] = [];
  const accepted: number[] = [];
  b.channels.accept((channel) => {
    accepted.push(channel.id);
    channel.attach({
      onMessage: (content) => {
        got.push(`${channel.id} ${content.length}`);
        if (content.length === 3) channel.close();
      },
      onProgress() {},
      onClosed: () => void got.push(`${channel.id} closed`),
    });
  });
  const nothing = { onMessage() {}, onProgress() {}, onClosed() {} };
  const first = a.channels.open();
  const second = a.channels.open();
  assert.deepEqual([first.id, second.id], [2, 4]);
  first.attach(nothing);
  first.send(bytes(30_000));
  first.close();
  await b.until(() => got.includes("2 closed"));
  assert.deepEqual(got, ["2 30000", "2 closed"]);
  let told = 0;
  second.attach({ ...nothing, onClosed: () => void told++ });
  second.send(bytes(3));
  await a.until(() => a.ended.includes(4));
  assert.equal(told, 1);
  // Both directions have ended, of both.
  await a.until(() => a.ended.includes(2));
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual([a.channels.open().id, b.channels.open().id], [2, 1]);
  assert.deepEqual(accepted, [2, 4]);
});

Deno.test("DataChannels refuses more than 256 channels of a peer, and ones with numbers of its own", async () => {
  using net = await connect({ hasChannels: true });
  const { a, b } = net;
  let accepted = 0;
  b.channels.accept(() => accepted++);
  for (let i = 0; i < 260; i++) a.channels.open();
  await a.until(() => a.ended.length >= 4);
  assert.equal(accepted, 256);
  a.sctp.send(7, 50, Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
  await b.until(() => b.closed.length > 0);
  assert.match(String(b.closed[0]), /opened wrongly/);
});

Deno.test("a paused channel holds what comes, and ends behind it", async () => {
  using net = await connect({ hasChannels: true });
  const { a, b } = net;
  const got: (number | string)[] = [];
  b.channels.accept((channel) => {
    channel.attach({
      onMessage: (content) => {
        got.push(content.length);
        if (got.length === 1) {
          channel.pause();
          setTimeout(() => channel.resume(), 5);
        }
        b.changed();
      },
      onProgress() {},
      onClosed: () => {
        got.push("closed");
        b.changed();
      },
    });
  });
  const channel = a.channels.open();
  for (const length of [1, 2, 3]) channel.send(bytes(length));
  channel.close();
  await b.until(() => got.includes("closed"));
  assert.deepEqual(got, [1, 2, 3, "closed"]);
});

Deno.test("SctpReceiver counts what tiny fragments and messages cost, not only their bytes", () => {
  const take = (receiver: SctpReceiver, isWhole: boolean) => {
    for (let tsn = 1; tsn <= 40_000; tsn++) {
      const first = isWhole || tsn <= 10;
      receiver.take({
        ...{ tsn, stream: tsn % 10, protocol: 53, first, last: isWhole },
        content: new Uint8Array(1),
      });
    }
    return receiver.cumulative;
  };
  const read: Message[] = [];
  for (const isWhole of [false, true]) {
    const receiver = new SctpReceiver(1, (message) => read.push(message));
    assert.ok(take(receiver, isWhole) < 20_000);
    assert.equal(receiver.window, 0);
  }
  // All room comes back.
  const receiver = new SctpReceiver(1, (message) => receiver.release(messageCost(message.content)));
  for (let tsn = 1; tsn <= 30; tsn++) {
    const content = new Uint8Array(tsn);
    receiver.take({ tsn, stream: 1, protocol: 53, first: tsn % 3 === 1, last: tsn % 3 === 0, content });
  }
  assert.equal(receiver.window, RECEIVE_WINDOW_BYTES);
});

Deno.test("a packet full of questions is not answered by as many packets", async () => {
  const sent: Uint8Array[] = [];
  let tag = 0;
  using net = await connect({
    way: (packet, to, deliver) => {
      if (to === "a") sent.push(packet);
      else tag = parsePacket(packet, { isSealed: true }).tag;
      queueMicrotask(() => deliver(packet));
    },
  });
  const answersTo = async (chunks: Uint8Array[]) => {
    sent.length = 0;
    net.b.sctp.receive(encodePacket(tag, chunks));
    await new Promise((resolve) => setTimeout(resolve, 0));
    return sent.length;
  };
  const question = encodeChunk(CHUNK.heartbeat, 0, new Uint8Array(8));
  assert.equal(await answersTo([question]), 1);
  assert.ok(await answersTo(Array<Uint8Array>(200).fill(question)) <= 8);
  const unknown = Uint8Array.fromHex("0011000800000001".repeat(100));
  assert.ok(await answersTo([encodeChunk(CHUNK.reconfig, 0, unknown)]) <= 2);
});

Deno.test("an association that ends within a packet does nothing for the rest of it", async () => {
  let [tag, lastTsn] = [0, 0];
  let echo: Uint8Array | undefined;
  const sentByB: Uint8Array[] = [];
  using net = await connect({
    way: (packet, to, deliver) => {
      if (to === "a") sentByB.push(packet);
      else {
        const { chunks: [chunk], ...rest } = parsePacket(packet, { isSealed: true });
        tag = rest.tag;
        if (chunk?.type === CHUNK.cookieEcho) echo = chunk.body;
        if (chunk?.type === CHUNK.data) lastTsn = parseData(chunk).tsn;
      }
      queueMicrotask(() => deliver(packet));
    },
  });
  const { a, b } = net;
  a.sctp.send(2, 53, bytes(3));
  await b.until(() => b.messages.length === 1);
  b.messages.push = () => {
    b.sctp.close();
    sentByB.length = 0;
    return 0;
  };
  const last = { tsn: lastTsn + 1 >>> 0, stream: 2, protocol: 53, first: true, last: true };
  const data = encodeData({ ...last, content: bytes(1) }, 1);
  b.sctp.receive(encodePacket(tag, [data, encodeChunk(CHUNK.cookieEcho, 0, echo!)]));
  b.sctp.send(1, 53, bytes(1));
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(sentByB, []);
});

Deno.test("a channel whose reader goes on for one message and then stops for good is given up", () => {
  const pauses: (() => void)[] = [];
  const original = globalThis.setTimeout;
  globalThis.setTimeout = ((work: () => void) => pauses.push(work)) as unknown as typeof setTimeout;
  try {
    const sctp = { send() {}, end() {}, release() {}, unsentBytes: () => 0 };
    const channel = new DataChannels(sctp, "server");
    const one = channel.negotiated(0);
    let closed = 0;
    one.attach({ onMessage: () => one.pause(), onProgress() {}, onClosed: () => closed++ });
    one.pause();
    for (let i = 0; i < 12; i++) channel.onMessage({ stream: 0, protocol: 53, content: bytes(60_000) });
    one.resume();
    pauses.at(-1)?.();
    assert.equal(pauses.length, 2);
    assert.equal(closed, 1);
  } finally {
    globalThis.setTimeout = original;
  }
});

Deno.test("SctpSender looks at each fragment once, however many gaps an acknowledgement has", () => {
  const sender = new SctpSender(0, () => 0);
  sender.open(1_000_000);
  for (let i = 0; i < 300; i++) sender.queue(i, 53, bytes(1));
  while (sender.take(1_180).length > 0);
  const { lastTsn } = sender;
  // A look takes one comparison with the end of what was sent.
  const gaps = Array.from({ length: 500 }, () => [1, 65_535] as const);
  let looks = 0;
  const min = Math.min;
  Math.min = (...values) => {
    looks++;
    return min(...values);
  };
  try {
    sender.acknowledge({ cumulative: 0xffffffff, window: 1_000_000, gaps });
  } finally {
    Math.min = min;
  }
  assert.ok(looks < 5_000, `${looks} looks`);
  assert.equal(sender.lastTsn, lastTsn);
  sender.acknowledge({ cumulative: lastTsn, window: 1_000_000, gaps: [] });
  assert.ok(!sender.isWaiting);
});
