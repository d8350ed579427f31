import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import type { Answer, Envelope, EnvelopeTransport } from "../../../a2a/mod.ts";
import { createLogger, silentLogger } from "../../../core/log.ts";
import { CardBook } from "../../../daemon/cards.ts";
import { PeerWire, type PeerWireOptions } from "../../../daemon/peer/mod.ts";
import { A2AEnvelopeSchema, EnvelopeType } from "../../../gen/agentanycast/v1/a2a_models_pb.ts";
import { createIdentity } from "../../../identity/mod.ts";
import { createMemoryKvStore } from "../../../kv/mod.ts";
import {
  A2A_PROTOCOL,
  CARD_PROTOCOL,
  type FrameChannel,
  LANE_PROTOCOL,
  openP2pHost,
  type P2pHost,
} from "../../../p2p/mod.ts";
import { readAll, startRawPeer } from "../../p2p/raw_peer.ts";
import { encodeFrame } from "../../../p2p/frames.ts";
import { randomSeed } from "../../p2p/test_host.ts";

const TAKEN: Answer = { outcome: "taken" };
const live = () => new AbortController().signal;

/** The envelope of a cancellation, which is the shortest. */
function encode(envelopeId: string, taskId = "t"): { envelopeId: string; bytes: Uint8Array } {
  const payload = { case: "taskCancel", value: { taskId } } as const;
  const bytes = toBinary(
    A2AEnvelopeSchema,
    create(A2AEnvelopeSchema, { envelopeId, type: EnvelopeType.TASK_CANCEL, payload }),
  );
  return { envelopeId, bytes };
}

interface Node extends AsyncDisposable {
  host: P2pHost;
  wire: PeerWire;
  transport: EnvelopeTransport;
  received: string[];
  /** Resolves when the log has a line with that text. */
  untilLogged(text: string): Promise<void>;
  connectTo(other: Node): Promise<void>;
}

interface NodeOptions extends PeerWireOptions {
  receive?: (peerId: string, envelope: Envelope) => Promise<Answer>;
  artifacts?: (channel: FrameChannel) => Promise<void>;
  seed?: Uint8Array;
}

/** A host with a wire whose engine is played by `receive`. */
async function startNode(options: NodeOptions = {}): Promise<Node> {
  await using stack = new AsyncDisposableStack();
  const received: string[] = [];
  const lines: string[] = [];
  const looks = new Set<() => void>();
  const write = (line: string) => {
    lines.push(line);
    for (const look of looks) look();
  };
  const logger = createLogger({ level: "debug", write });
  const kv = createMemoryKvStore();
  const identity = createIdentity(options.seed ?? randomSeed());
  const cards = await CardBook.open({ kv, identity, logger: silentLogger });
  const artifacts = options.artifacts && { onChannel: options.artifacts };
  const wire = new PeerWire({ cards, logger, ...artifacts && { artifacts } }, options);
  const host = stack.use(
    await openP2pHost({ seed: identity.seed, handlers: wire.handlers, logger }, {
      listen: ["/ip4/127.0.0.1/tcp/0"],
      mdns: { enabled: false, serviceTag: "", interfaces: [] },
      agentVersion: "agentanycast-test/0",
      channelProtocols: wire.channelProtocols,
    }),
  );
  stack.use(wire);
  const transport = wire.openTransport(host);
  wire.serve(host, {
    peerConnected: () => {},
    receive: (peerId, envelope) => {
      received.push(envelope.envelopeId);
      return options.receive?.(peerId, envelope) ?? Promise.resolve(TAKEN);
    },
  });
  const owned = stack.move();
  return {
    host,
    wire,
    transport,
    received,
    untilLogged: (text) =>
      new Promise((resolve) => {
        const look = () => lines.some((line) => line.includes(text)) && resolve();
        looks.add(look);
        look();
      }),
    connectTo: async (other) => {
      await host.connect(other.host.peerId, other.host.addresses());
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

Deno.test("createEnvelopeTransport() sends by a lane to a peer that has one, in order, with its answers", async () => {
  await using b = await startNode({
    receive: (_, { envelopeId }) =>
      Promise.resolve(
        envelopeId === "e3"
          ? { outcome: "refused", reason: "no" }
          : envelopeId === "e4"
          ? { outcome: "busy", reason: "full" }
          : TAKEN,
      ),
  });
  await using a = await startNode();
  await a.connectTo(b);
  const peerId = b.host.peerId;
  assert.equal(a.transport.windowOf(peerId), 16);
  const ids = Array.from({ length: 300 }, (_, index) => `e${index}`);
  const answers = await Promise.all(
    ids.map((id) => a.transport.send(peerId, encode(id), { signal: live() })),
  );
  assert.deepEqual(b.received, ids);
  assert.deepEqual(answers[2], TAKEN);
  assert.deepEqual(answers[3], { outcome: "refused", reason: "no" });
  assert.deepEqual(answers[4], { outcome: "busy", reason: "full" });
  assert.equal(a.transport.windowOf(peerId), 256);
  assert.notEqual(a.transport.framingOf(peerId), "1.0");
});

Deno.test("createEnvelopeTransport() falls back to 1.0 with a peer that has no lanes, until it goes away", async () => {
  const seed = randomSeed();
  await using a = await startNode();
  {
    await using b = await startNode({ fastLane: false, seed });
    assert.deepEqual(b.wire.channelProtocols, []);
    await a.connectTo(b);
    await a.transport.connect(b.host.peerId, { signal: live() });
    const answers = await Promise.all(
      ["e1", "e2", "e3"].map((id) => a.transport.send(b.host.peerId, encode(id), { signal: live() })),
    );
    assert.deepEqual(answers, [TAKEN, TAKEN, TAKEN]);
    assert.equal(a.transport.framingOf(b.host.peerId), "1.0");
    assert.equal(a.transport.windowOf(b.host.peerId), 16);
    assert.deepEqual([...b.received].sort(), ["e1", "e2", "e3"]);
    assert.deepEqual(await b.transport.send(a.host.peerId, encode("back"), { signal: live() }), TAKEN);
    assert.equal(b.transport.framingOf(a.host.peerId), "1.0");
  }
  await a.untilLogged("Peer disconnected");
  await using b = await startNode({ seed });
  await a.connectTo(b);
  assert.notEqual(a.transport.framingOf(b.host.peerId), "1.0");
  await a.transport.send(b.host.peerId, encode("e4"), { signal: live() });
  assert.equal(a.transport.windowOf(b.host.peerId), 256);
});

Deno.test("cardOf() waits for no answer of a peer that has said by itself that it has no card", async () => {
  await using b = await startNode();
  await using raw = await startRawPeer();
  const asked = Promise.withResolvers<void>();
  await raw.libp2p.handle(CARD_PROTOCOL, () => asked.resolve()); // and never answers
  const stream = await raw.open({ address: b.host.addresses()[0] ?? "" } as never, CARD_PROTOCOL);
  await asked.promise;
  const answer = b.wire.cardOf(raw.peerId).then(() => "known");
  stream.send(encodeFrame(new Uint8Array()));
  assert.equal(await Promise.race([answer, b.untilLogged("No card exchanged")]), "known");
});

Deno.test("framingOf() is 2.0 for a peer that has opened a lane, until it goes away", async () => {
  await using b = await startNode();
  {
    await using a = await startNode();
    await a.connectTo(b);
    const { peerId } = a.host;
    assert.equal(b.transport.framingOf(peerId), undefined);
    assert.deepEqual(await a.transport.send(b.host.peerId, encode("e1"), { signal: live() }), TAKEN);
    assert.equal(b.transport.framingOf(peerId), "2.0");
    await a[Symbol.asyncDispose]();
    await b.untilLogged("Peer disconnected");
    assert.equal(b.transport.framingOf(peerId), undefined);
  }
});

Deno.test("send() on 1.0 acknowledges refusals, keeps silent when busy, and ends by its signal", async () => {
  const arrived = Promise.withResolvers<void>();
  await using b = await startNode({
    fastLane: false,
    receive(_, { envelopeId }) {
      if (envelopeId === "refused") return Promise.resolve({ outcome: "refused", reason: "no" });
      arrived.resolve();
      return Promise.resolve({ outcome: "busy", reason: "full" });
    },
  });
  await using a = await startNode();
  await a.connectTo(b);
  assert.deepEqual(await a.transport.send(b.host.peerId, encode("refused"), { signal: live() }), TAKEN);
  const giveUp = new AbortController();
  const sending = a.transport.send(b.host.peerId, encode("busy"), { signal: giveUp.signal });
  const rejected = assert.rejects(sending, { code: "cancelled" });
  await arrived.promise;
  await a.host.ping(b.host.peerId);
  giveUp.abort();
  await rejected;
  await assert.rejects(
    a.transport.send(b.host.peerId, encode("late"), { signal: giveUp.signal }),
    { code: "cancelled" },
  );
});

Deno.test("send() throws unavailable when the peer goes away before its answer, on either way", async () => {
  for (const fastLane of [true, false]) {
    const arrived = Promise.withResolvers<void>();
    const held = Promise.withResolvers<Answer>();
    const b = await startNode({
      fastLane,
      receive() {
        arrived.resolve();
        return held.promise;
      },
    });
    await using a = await startNode();
    await a.connectTo(b);
    const rejected = assert.rejects(
      a.transport.send(b.host.peerId, encode("e1"), { signal: live() }),
      { code: "unavailable" },
    );
    await arrived.promise;
    const closing = b[Symbol.asyncDispose]();
    await rejected;
    held.resolve(TAKEN);
    await closing;
    await assert.rejects(
      a.transport.send(b.host.peerId, encode("e2"), { signal: live() }),
      { code: "unavailable" },
    );
  }
});

Deno.test("a wire refuses what it cannot read on a lane, and closes its lanes when it is disposed", async () => {
  await using b = await startNode();
  await using a = await startNode();
  await a.connectTo(b);
  const peerId = b.host.peerId;
  const send = (bytes: Uint8Array) => a.transport.send(peerId, { envelopeId: "", bytes }, { signal: live() });
  assert.equal((await send(Uint8Array.fromHex("ffff"))).outcome, "refused");
  assert.equal((await send(new Uint8Array(0))).outcome, "refused");
  const ack = Uint8Array.fromHex("0a02653110088a01040a027831");
  assert.equal((await send(ack)).outcome, "refused");
  assert.deepEqual(b.received, []);
  await a.wire[Symbol.asyncDispose]();
  await assert.rejects(send(ack), { code: "unavailable" });
});

Deno.test("a wire hands channels of artifact streams to whom it was given", async () => {
  const seen: string[] = [];
  await using b = await startNode({
    async artifacts(channel) {
      for await (const frame of channel.frames()) seen.push(frame.toHex());
    },
  });
  await using a = await startNode();
  await a.connectTo(b);
  const channel = await a.host.openChannel(b.host.peerId, "/agentanycast/stream/1.0");
  await channel.send(Uint8Array.of(1, 2));
  await channel.close();
  for await (const _ of channel.frames());
  assert.deepEqual(seen, ["0102"]);
  await assert.rejects(
    b.host.openChannel(a.host.peerId, "/agentanycast/stream/1.0"),
    { code: "unimplemented" },
  );
});

Deno.test("a hostile opener loses its lane and nothing else", async () => {
  await using b = await startNode();
  await using a = await startNode();
  await using raw = await startRawPeer();
  const host = { address: b.host.addresses()[0] ?? "" };
  for (const hex of ["", "ffffffff", "12040a020801", "1a060a0408011001"]) {
    const stream = await raw.open(host as never, LANE_PROTOCOL);
    stream.send(encodeFrame(Uint8Array.fromHex(hex)));
    if (hex === "") stream.send(encodeFrame(Uint8Array.fromHex("ffff")));
    await assert.rejects(readAll(stream), { name: "StreamResetError" });
  }
  await a.connectTo(b);
  assert.deepEqual(await a.transport.send(b.host.peerId, encode("e1"), { signal: live() }), TAKEN);
  const old = await raw.open(host as never, A2A_PROTOCOL);
  old.send(encodeFrame(encode("e2").bytes));
  await old.close();
  assert.equal((await readAll(old)).length, 0);
  assert.deepEqual(b.received, ["e1", "e2"]);
});
