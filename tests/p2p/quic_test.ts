import assert from "node:assert/strict";
import { multiaddr } from "@multiformats/multiaddr";
import { silentLogger } from "../../core/log.ts";
import { createLibp2pLogger } from "../../p2p/libp2p_logger.ts";
import { createQuicMuxerFactory, QuicMultiaddrConnection } from "../../p2p/quic/quic_connection.ts";
import { QuicStream } from "../../p2p/quic/quic_stream.ts";
import { createCertificate, createTrustAnchor } from "../../p2p/quic/certificate.ts";
import { Changes } from "../support/patience.ts";
import { openTestHost, randomSeed, type TestHost } from "./test_host.ts";

const QUIC = { listen: ["/ip4/127.0.0.1/udp/0/quic-v1/noise"] };
const PROTOCOL = "/test/quic/1.0";

Deno.test("frames and pings pass over QUIC both ways, whole and in order", async () => {
  await using a = await openTestHost(QUIC);
  await using b = await openTestHost(QUIC);
  const peer = await a.host.connect(b.peerId, [b.address]);
  assert.deepEqual([peer.transport, peer.relayed], ["quic", false]);
  const big = crypto.getRandomValues(new Uint8Array(65_536));
  const frame = new Uint8Array(5_000_000).map((_, i) => big[i % big.length] ?? 0);
  await a.host.sendA2aFrame(b.peerId, frame);
  await b.host.sendA2aFrame(a.peerId, Uint8Array.of(7));
  await Promise.all([a.until(() => a.frames.length === 1), b.until(() => b.frames.length === 1)]);
  assert.deepEqual(b.frames[0]?.frame, frame);
  assert.equal(b.frames[0]?.peerId, a.peerId);
  assert.ok(await b.host.ping(a.peerId) > 0);
});

Deno.test("a QUIC connection proves both peers: an address that names somebody else is refused", async () => {
  await using a = await openTestHost(QUIC);
  await using b = await openTestHost(QUIC);
  await using other = await openTestHost(QUIC);
  const wrong = b.address.replace(b.peerId, other.peerId);
  await assert.rejects(a.host.connect(other.peerId, [wrong]), /BadSignature/);
  assert.deepEqual(b.connected, []);
});

Deno.test("a channel over QUIC tells its end from having been given up", async () => {
  const ends: string[] = [];
  const changes = new Changes();
  const note = (end: string) => {
    ends.push(end);
    changes.tell();
  };
  const until = (end: string) => changes.until(() => ends.includes(end));
  await using b = await openTestHost({
    ...QUIC,
    channelProtocols: [PROTOCOL],
    handlers: {
      onChannel: async (channel) => {
        try {
          for await (const frame of channel.frames()) note(`frame ${frame[0]}`);
          note("end");
        } catch {
          note("reset");
        }
      },
    },
  });
  await using a = await openTestHost(QUIC);
  await a.host.connect(b.peerId, [b.address]);
  const closed = await a.host.openChannel(b.peerId, PROTOCOL);
  await closed.send(Uint8Array.of(1));
  await closed.close();
  await until("end");
  const aborted = await a.host.openChannel(b.peerId, PROTOCOL);
  await aborted.send(Uint8Array.of(2));
  await until("frame 2"); // a stream that is given up before may never be seen
  aborted.abort(new Error("given up"));
  await until("reset");
  assert.deepEqual(ends, ["frame 1", "end", "frame 2", "reset"]);
});

Deno.test("a node that does not listen dials over QUIC and is told apart by its key", async () => {
  await using a = await openTestHost({ listen: [] });
  await using b = await openTestHost(QUIC);
  await a.host.connect(b.peerId, [b.address]);
  await b.until(() => b.connected.length === 1);
  assert.equal(b.connected[0]?.peerId, a.peerId);
});

Deno.test("a peer is dialed over QUIC before TCP, and over TCP when QUIC does not answer", async () => {
  const both = { listen: [...QUIC.listen, "/ip4/127.0.0.1/tcp/0"] };
  await using a = await openTestHost({ listen: [] });
  await using c = await openTestHost({ listen: [] });
  await using b = await openTestHost(both);
  const addresses = b.host.addresses();
  assert.equal((await a.host.connect(b.peerId, addresses)).transport, "quic");
  const silent = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const port = (silent.addr as Deno.NetAddr).port;
  const blocked = addresses.map((address) => address.replace(/udp\/\d+/, `udp/${port}`));
  assert.equal((await c.host.connect(b.peerId, blocked)).transport, "tcp");
  silent.close();
});

Deno.test("openP2pHost() stops with open QUIC connections and leaves no socket behind", async () => {
  await using b = await openTestHost(QUIC);
  const a: TestHost = await openTestHost(QUIC);
  await a.host.connect(b.peerId, [b.address]);
  await b.until(() => b.connected.length === 1);
  await a[Symbol.asyncDispose]();
  await b.until(() => b.disconnected.length === 1);
});

Deno.test("the certificate of a seed is always the same one, and its anchor needs the public key alone", () => {
  const seed = randomSeed();
  const key = randomSeed();
  assert.deepEqual(createCertificate(seed, key), createCertificate(seed, key));
  assert.notEqual(createTrustAnchor(key), createTrustAnchor(randomSeed()));
});

Deno.test("peers meet over IPv6 by QUIC and by TCP", async () => {
  for (
    const [listen, transport] of [["/ip6/::1/udp/0/quic-v1/noise", "quic"], [
      "/ip6/::1/tcp/0",
      "tcp",
    ]] as const
  ) {
    await using a = await openTestHost({ listen: [listen] });
    await using b = await openTestHost({ listen: [listen] });
    assert.match(b.address, /^\/ip6\/::1\//);
    assert.equal((await a.host.connect(b.peerId, [b.address])).transport, transport);
    await b.until(() => b.connected.length === 1);
    assert.equal(b.connected[0]?.peerId, a.peerId);
    assert.ok(await b.host.ping(a.peerId) > 0);
  }
});

Deno.test("a stream that the peer has no room for is given up by its signal, and closed when it comes after all", async () => {
  const late = Promise.withResolvers<Deno.QuicBidirectionalStream>();
  const quic = {
    closed: new Promise(() => {}),
    close: () => {},
    incomingBidirectionalStreams: ReadableStream.from([]),
    createBidirectionalStream: () => late.promise,
  } as unknown as Deno.QuicConn;
  const log = createLibp2pLogger(silentLogger).forComponent("test");
  const remoteAddr = multiaddr("/ip4/192.0.2.1/udp/1/quic-v1");
  const connection = new QuicMultiaddrConnection(quic, { remoteAddr, direction: "outbound", log });
  const muxer = createQuicMuxerFactory(quic, {
    protocol: "/test",
    toStream: (stream, init) => new QuicStream(stream, init),
  }).createStreamMuxer(connection);
  const over = new AbortController();
  const opening = muxer.createStream({ signal: over.signal });
  over.abort(new Error("too long"));
  await assert.rejects(Promise.resolve(opening), /too long/);
  const aborted = Promise.withResolvers<void>();
  late.resolve({
    readable: new ReadableStream(),
    writable: new WritableStream({ abort: () => aborted.resolve() }),
  } as unknown as Deno.QuicBidirectionalStream);
  await aborted.promise;
});
