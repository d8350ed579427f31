import assert from "node:assert/strict";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { base64url } from "multiformats/bases/base64";
import { X509Certificate } from "node:crypto";
import { silentLogger } from "../../core/log.ts";
import { createLibp2pLogger } from "../../p2p/libp2p_logger.ts";
import { certificatesAt, periodAt } from "../../p2p/webtransport/certificate.ts";
import { WebTransportListener } from "../../p2p/webtransport/webtransport_listener.ts";
import { openTestHost, randomSeed } from "./test_host.ts";

const DAY_MS = 24 * 3_600_000;

const WEBTRANSPORT = { webTransport: true, listen: ["/ip4/127.0.0.1/udp/0/quic-v1/webtransport"] };

function hashesOf(address: string) {
  return [...address.matchAll(/certhash\/([^/]+)/g)].map(([, hash]) => ({
    algorithm: "sha-256",
    value: base64url.decode(hash!).slice(2),
  }));
}

/** Connects as TLS has it, under the hashes of `address`. */
function connectTls(address: Multiaddr | undefined): Promise<Deno.QuicConn> {
  const text = String(address);
  return Deno.connectQuic<false>(
    {
      hostname: "127.0.0.1",
      port: Number(/udp\/(\d+)/.exec(text)?.[1]),
      alpnProtocols: ["h3"],
      serverCertificateHashes: hashesOf(text),
    } as Deno.ConnectQuicOptions<false>,
  );
}

Deno.test("frames and pings pass over WebTransport both ways, whole and in order", async () => {
  await using a = await openTestHost(WEBTRANSPORT);
  await using b = await openTestHost(WEBTRANSPORT);
  assert.match(
    b.address,
    /^\/ip4\/127\.0\.0\.1\/udp\/\d+\/quic-v1\/webtransport(\/certhash\/uEi[\w-]{43,}){2}\/p2p\//,
  );
  const peer = await a.host.connect(b.peerId, [b.address]);
  assert.deepEqual([peer.transport, peer.relayed], ["webtransport", false]);
  const big = crypto.getRandomValues(new Uint8Array(65_536));
  const frame = new Uint8Array(5_000_000).map((_, i) => big[i % big.length] ?? 0);
  await a.host.sendA2aFrame(b.peerId, frame);
  await b.host.sendA2aFrame(a.peerId, Uint8Array.of(7));
  await Promise.all([a.until(() => a.frames.length === 1), b.until(() => b.frames.length === 1)]);
  assert.deepEqual(b.frames[0]?.frame, frame);
  assert.equal(b.frames[0]?.peerId, a.peerId);
  assert.ok(await b.host.ping(a.peerId) > 0);
});

Deno.test("a WebTransport connection proves its peer and the hashes of its address", async () => {
  await using a = await openTestHost(WEBTRANSPORT);
  await using b = await openTestHost(WEBTRANSPORT);
  await using other = await openTestHost(WEBTRANSPORT);
  const hash = /\/certhash\/[^/]+/g;
  const somebodyElse = b.address.replace(b.peerId, other.peerId);
  await assert.rejects(a.host.connect(other.peerId, [somebodyElse]), /expected peer|remote peer|identity/i);
  const foreignHashes = b.address.replaceAll(hash, "").replace(
    "/webtransport",
    `/webtransport${other.address.match(hash)?.join("")}`,
  );
  await assert.rejects(a.host.connect(b.peerId, [foreignHashes]), /certificate/i);
  const added = b.address.replace("/p2p/", `${other.address.match(hash)?.[0]}/p2p/`);
  await assert.rejects(a.host.connect(b.peerId, [added]), /does not vouch for the certificate hashes/);
  await assert.rejects(a.host.connect(b.peerId, [b.address.replaceAll(hash, "")]), /No transport available/);
  assert.deepEqual(b.connected, []);
  await a.host.connect(b.peerId, [b.address]);
});

Deno.test("certificatesAt() makes the same short-lived P-256 certificates from seed and time", async () => {
  const seed = randomSeed();
  const at = Date.UTC(2026, 6, 1);
  const first = await certificatesAt(seed, at);
  assert.deepEqual(await certificatesAt(seed, at), first);
  const later = await certificatesAt(seed, at + 12 * DAY_MS);
  assert.equal(later.period, first.period + 1);
  assert.deepEqual(later.current.hash, first.announced[1]);
  assert.ok(first.announced.every((hash) => later.vouched.some((one) => one.toHex() === hash.toHex())));
  assert.notDeepEqual((await certificatesAt(randomSeed(), at)).current.hash, first.current.hash);
  const certificate = new X509Certificate(first.current.cert);
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  assert.ok(
    from < at && at < to && to - from < 14 * DAY_MS,
    `${certificate.validFrom} ${certificate.validTo}`,
  );
  assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
  assert.ok(certificate.verify(certificate.publicKey));
});

Deno.test("a listener changes to the next certificate, whose hash was announced before", async () => {
  // TLS knows what day it is, so one certificate of today stands for each period.
  const today = await Promise.all(
    Array.from({ length: 4 }, async () => (await certificatesAt(randomSeed(), Date.now())).current),
  );
  const first = periodAt(Date.now());
  let nowMs = Date.now();
  let announced = 0;
  const listener = new WebTransportListener({
    certificatesAt(ms) {
      const period = periodAt(ms);
      const [current, next] = today.slice(period - first);
      const hashes = [current!.hash, next!.hash];
      return Promise.resolve({ period, current: current!, announced: hashes, vouched: hashes });
    },
    now: () => nowMs,
    accept: async (quic) => void await quic.handshake,
    log: createLibp2pLogger(silentLogger).forComponent("test"),
  });
  listener.addEventListener("listening", () => announced++);
  await listener.listen(multiaddr(WEBTRANSPORT.listen[0]));
  const [before] = listener.getAddrs();
  const connections = [await connectTls(before)];
  await listener.refresh();
  assert.equal(announced, 1);
  nowMs += 12 * DAY_MS;
  await listener.refresh();
  assert.equal(announced, 2);
  const [after] = listener.getAddrs();
  assert.notEqual(String(after), String(before));
  connections.push(await connectTls(before), await connectTls(after));
  nowMs += 12 * DAY_MS;
  await listener.refresh();
  await assert.rejects(connectTls(before), /certificate/);
  connections.push(await connectTls(after));
  for (const quic of connections) {
    await (await quic.createUnidirectionalStream()).close();
    quic.close();
  }
  await listener.close();
});

Deno.test("WebTransport peers that speak something else, or nothing, harm nothing else", async () => {
  await using host = await openTestHost(WEBTRANSPORT);
  await using good = await openTestHost(WEBTRANSPORT);
  const address = multiaddr(host.address);
  // Deno's own WebTransport is what browsers have.
  const garbled = new WebTransport(
    `https://127.0.0.1:${/udp\/(\d+)/.exec(host.address)?.[1]}/.well-known/libp2p-webtransport?type=noise`,
    { serverCertificateHashes: hashesOf(host.address) },
  );
  await garbled.ready;
  const noise = await garbled.createBidirectionalStream();
  await noise.writable.getWriter().write(Uint8Array.fromHex("0003ffffff"));
  await garbled.closed;
  const raw = await connectTls(address);
  const headers = await raw.createBidirectionalStream();
  await headers.writable.getWriter().write(Uint8Array.fromHex("01bfffffff00"));
  await raw.closed;
  const silent = await Promise.all(
    Array.from({ length: 70 }, () => connectTls(address).catch(() => undefined)),
  );
  assert.ok(silent.includes(undefined));
  for (const quic of [raw, ...silent]) quic?.close();
  await good.host.connect(host.peerId, [host.address]);
  await good.host.sendA2aFrame(host.peerId, Uint8Array.of(1));
  await host.until(() => host.frames.length === 1);
});

Deno.test("dialing over WebTransport ends with an error at a server that speaks it wrongly", async () => {
  const { current } = await certificatesAt(randomSeed(), Date.now());
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  const listener = endpoint.listen({ key: current.key, cert: current.cert, alpnProtocols: ["h3"] });
  const { peerId } = await openTestHost().then(async (host) => {
    await host[Symbol.asyncDispose]();
    return host;
  });
  const certhash = base64url.encode(current.hash);
  const address =
    `/ip4/127.0.0.1/udp/${endpoint.addr.port}/quic-v1/webtransport/certhash/${certhash}/p2p/${peerId}`;
  const controls: [string, RegExp][] = [
    ["00040106", /does not speak WebTransport/],
    ["0004bfffffff", /a frame of HTTP\/3 has \d+ bytes/],
    ["0004", /ended too early/],
  ];
  for (const [control, reason] of controls) {
    await using host = await openTestHost({ ...WEBTRANSPORT, listen: [] });
    const connecting = assert.rejects(host.host.connect(peerId, [address]), reason);
    const quic = await listener.accept();
    const stream = await quic.createUnidirectionalStream();
    const writer = stream.getWriter();
    await writer.write(Uint8Array.fromHex(control));
    await writer.close();
    await connecting;
    quic.close();
  }
  listener.stop();
  endpoint.close();
});
