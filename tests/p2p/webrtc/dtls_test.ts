import assert from "node:assert/strict";
import { dialerCertificate, listenerCertificate, noisePrologue } from "../../../p2p/webrtc/certificate.ts";
import { DtlsConnection } from "../../../p2p/webrtc/dtls_connection.ts";
import { CookieGate } from "../../../p2p/webrtc/dtls_cookies.ts";
import { deriveSecrets, prf, SUITES } from "../../../p2p/webrtc/dtls_keys.ts";
import { readRecords } from "../../../p2p/webrtc/dtls_record.ts";
import { encodeClientHello, parseClientHello } from "../../../p2p/webrtc/dtls_messages.ts";
import { HandshakeReader } from "../../../p2p/webrtc/handshake_reader.ts";
import { randomSeed } from "../test_host.ts";

const FROM = { hostname: "192.0.2.1", port: 4001 };

interface Wire {
  client: DtlsConnection;
  server: DtlsConnection | undefined;
  received: string[];
  closed: string[];
  /** What comes of datagrams on their way, in order. */
  pass(datagram: Uint8Array, to: "client" | "server"): Uint8Array[];
}

/** A client and a server that datagrams pass between through `pass`. */
async function connect(
  pass: Wire["pass"] = (datagram) => [datagram],
  serverInit: Partial<ConstructorParameters<typeof DtlsConnection>[0]> = {},
) {
  const [certificate, own] = await Promise.all([listenerCertificate(randomSeed()), dialerCertificate()]);
  const gate = new CookieGate();
  const handshakes: Promise<Uint8Array>[] = [];
  const { signal } = new AbortController();
  const common = (side: "client" | "server") => ({
    checkCertificate: () => {},
    onData: (plain: Uint8Array) => void wire.received.push(`${side} ${new TextDecoder().decode(plain)}`),
    onClosed: () => void wire.closed.push(side),
  });
  const toServer = (datagram: Uint8Array) => {
    if (wire.server !== undefined) return wire.server.receive(datagram);
    const greeting = gate.greet(datagram, FROM);
    if (greeting === undefined) return;
    if ("answer" in greeting) return wire.client.receive(greeting.answer);
    wire.server = new DtlsConnection({
      ...{ role: "server", certificate, start: greeting.start, ...common("server") },
      send: (answer) => wire.pass(answer, "client").forEach((one) => wire.client.receive(one)),
      ...serverInit,
    });
    handshakes.push(wire.server.handshake(signal));
    wire.server.receive(datagram);
  };
  const wire: Wire = {
    server: undefined,
    ...{ received: [], closed: [], pass },
    client: new DtlsConnection({
      ...{ role: "client", certificate: own, ...common("client") },
      send: (datagram) => wire.pass(datagram, "server").forEach(toServer),
    }),
  };
  handshakes.push(wire.client.handshake(signal));
  return { wire, certificate, own, handshakes };
}

Deno.test("DtlsConnection shakes hands, carries data both ways and says when it ends", async () => {
  const { wire, certificate, own, handshakes } = await connect();
  const client = await handshakes[0];
  assert.deepEqual(client, certificate.der);
  assert.deepEqual(await handshakes[1], own.der);
  wire.client.send(new TextEncoder().encode("hello"));
  wire.server?.send(new TextEncoder().encode("hello yourself"));
  assert.deepEqual(wire.received, ["server hello", "client hello yourself"]);
  wire.client.close();
  assert.deepEqual(wire.closed, ["server"]);
});

Deno.test("a datagram that is lost is sent again, and one that comes twice or forged is not taken", async () => {
  const lost = new Set(["server 1", "client 0", "server 2"]);
  const counts = { client: 0, server: 0 };
  const { wire, handshakes } = await connect((datagram, to) =>
    lost.delete(`${to} ${counts[to]++}`) ? [] : [datagram, datagram]
  );
  await Promise.all([handshakes[0]]);
  await handshakes[1];
  assert.equal(lost.size, 0);
  wire.client.send(Uint8Array.of(97));
  assert.deepEqual(wire.received, ["server a"]);
  wire.pass = (datagram) =>
    Array.from(datagram, (_, i) => {
      const forged = datagram.slice();
      forged[i]! ^= 0x10;
      return forged;
    });
  wire.client.send(Uint8Array.of(98));
  wire.client.close();
  wire.server?.close();
  assert.deepEqual(wire.received, ["server a"]);
});

Deno.test("a handshake fails when the certificate is another one, or its key somebody else's", async () => {
  const other = await listenerCertificate(randomSeed());
  const { certificate } = await connect().then(async (made) => {
    await Promise.all(made.handshakes);
    made.wire.client.close();
    return made;
  });
  // The certificate of one with the key of another: what somebody in between could present.
  const stolen = { ...certificate, key: other.key };
  const { handshakes } = await connect((datagram) => [datagram], { certificate: stolen });
  await assert.rejects(handshakes[0]!, /does not hold the key of its certificate/);
  await assert.rejects(handshakes[1]!, /refused the handshake \(alert 40/);
  const refusing = await connect((datagram) => [datagram], {
    checkCertificate: () => {
      throw new Error("not this one");
    },
  });
  await assert.rejects(refusing.handshakes[1]!, /not this one/);
  await assert.rejects(refusing.handshakes[0]!, /refused the handshake/);
});

Deno.test("a handshake that was changed on its way fails on both sides", async () => {
  // The client's offer of a group is replaced: nothing but the end of the handshake can tell.
  const { handshakes } = await connect((datagram, to) => {
    const hex = datagram.toHex();
    return [to === "server" ? Uint8Array.fromHex(hex.replace("0004001d0017", "000400170017")) : datagram];
  });
  const results = await Promise.allSettled(handshakes);
  assert.deepEqual(results.map(({ status }) => status), ["rejected", "rejected"]);
  assert.match(
    String(results[1]?.status === "rejected" && results[1].reason),
    /changed on its way|key of its/,
  );
});

Deno.test("DtlsConnection.receive() survives whatever comes", async () => {
  const { wire, handshakes } = await connect();
  await Promise.all(handshakes);
  await handshakes[1];
  let seed = 1;
  const random = () => (seed = seed * 48271 % 0x7fffffff) % 256;
  for (let i = 0; i < 2_000; i++) {
    const noise = Uint8Array.from({ length: i % 200 }, random);
    // As a record of each kind and epoch, and as nothing at all.
    if (i % 2 === 0) noise.set([20 + i % 6, 0xfe, 0xfd, 0, i % 3].slice(0, noise.length));
    wire.server?.receive(noise);
    wire.client.receive(noise);
  }
  wire.client.send(Uint8Array.of(97));
  assert.deepEqual(wire.received, ["server a"]);
  wire.client.close();
});

Deno.test("HandshakeReader puts pieces together in any order, and holds no more than it must", () => {
  const piece = (number: number, offset: number, bytes: string, length = 4) => {
    const content = Uint8Array.fromHex(bytes);
    return Uint8Array.of(
      ...[11, 0, length >> 8, length & 0xff, 0, number],
      ...[0, 0, offset, 0, 0, content.length],
      ...content,
    );
  };
  const reader = new HandshakeReader(1);
  assert.equal(reader.take(piece(2, 0, "aabbccdd"), 0), false);
  reader.take(piece(1, 2, "0304"), 0);
  assert.equal(reader.shift(), undefined);
  reader.take(piece(1, 0, "010203"), 0);
  assert.equal(reader.shift()?.body.toHex(), "01020304");
  assert.equal(reader.shift()?.body.toHex(), "aabbccdd");
  assert.equal(reader.take(piece(1, 0, "010203"), 0), true);
  reader.take(piece(200, 0, "01"), 0);
  assert.throws(() => reader.take(piece(3, 0, "01", 60_000), 0), SyntaxError);
  reader.take(piece(3, 0, "01"), 0);
  assert.throws(() => reader.take(piece(3, 0, "01"), 1), /do not fit together/);
});

Deno.test("CookieGate has a client say hello twice, from the same address", async () => {
  const hellos: Uint8Array[] = [];
  const certificate = await dialerCertificate();
  const client = new DtlsConnection({
    ...{ role: "client", certificate, checkCertificate() {}, onData() {}, onClosed() {} },
    send: (datagram) => void hellos.push(datagram),
  });
  const handshake = client.handshake(new AbortController().signal);
  const gate = new CookieGate();
  const first = gate.greet(hellos[0]!, FROM);
  assert.ok(first !== undefined && "answer" in first && first.answer.length < hellos[0]!.length);
  client.receive(first.answer);
  await Promise.resolve();
  await new Promise((resolve) => setTimeout(resolve, 0));
  const second = hellos.at(-1)!;
  assert.deepEqual(gate.greet(second, FROM), { start: { message: 1, record: 1 } });
  assert.ok("answer" in (gate.greet(second, { ...FROM, port: 4002 }) ?? {}));
  assert.ok("answer" in (new CookieGate().greet(second, FROM) ?? {}));
  assert.equal(gate.greet(Uint8Array.of(22, 0xfe, 0xfd), FROM), undefined);
  client.close();
  await assert.rejects(handshake, /closed/);
});

Deno.test("records of both cipher suites are opened by the peer alone, and not when they are changed", () => {
  const agreed = { shared: randomSeed(), clientRandom: randomSeed(), serverRandom: randomSeed() };
  for (const suite of Object.values(SUITES)) {
    const { client, server } = deriveSecrets({ ...agreed, suite, transcript: Uint8Array.of(suite & 0xff) });
    const plain = Uint8Array.from({ length: 1_200 }, (_, i) => i);
    for (const length of [0, 1, 1_200]) {
      const [record] = readRecords(client.seal(23, 5, plain.subarray(0, length)));
      assert.deepEqual([record?.type, record?.epoch, record?.sequence], [23, 1, 5]);
      assert.deepEqual(client.open(record!), plain.subarray(0, length));
      assert.equal(server.open(record!), undefined);
      assert.equal(client.open({ ...record!, sequence: 6, type: 22 }), undefined);
      const damaged = record!.body.slice();
      damaged[damaged.length - 1]! ^= 1;
      assert.equal(client.open({ ...record!, body: damaged }), undefined);
      assert.equal(client.open({ ...record!, body: damaged.subarray(0, 7) }), undefined);
    }
  }
});

Deno.test("prf() and noisePrologue() are as the network has them", () => {
  // The sample for P_SHA256 that the TLS working group has published.
  const secret = Uint8Array.fromHex("9bbe436ba940f017b17652849a71db35");
  const seed = Uint8Array.fromHex("a0ba9f936cda311827a6f796ffd5198c");
  assert.equal(prf(secret, "test label", seed, 20).toHex(), "e3f229ba727be17b8d122620557cd453c2aab21d");
  // The test vector of libp2p's WebRTC-direct specification.
  const dialer = "12203e79af40d6059617a0d83b83a52ce73b0c1f37a72c6043ad2969e2351bdca870";
  const listener = "122030fc9f469c207419dfdd0aab5f27a86c973c94e40548db9375cca2e915973b99";
  assert.equal(
    noisePrologue(Uint8Array.fromHex(dialer), Uint8Array.fromHex(listener)).toHex(),
    `6c69627032702d7765627274632d6e6f6973653a${dialer}${listener}`,
  );
});

Deno.test("listenerCertificate() is always the same one for a seed, dialerCertificate() never", async () => {
  const seed = randomSeed();
  assert.deepEqual(await listenerCertificate(seed), await listenerCertificate(seed));
  assert.notDeepEqual((await dialerCertificate()).hash, (await dialerCertificate()).hash);
});

Deno.test("a cookie is good for two minutes at most", async () => {
  const hellos: Uint8Array[] = [];
  const certificate = await dialerCertificate();
  const client = new DtlsConnection({
    ...{ role: "client", certificate, checkCertificate() {}, onData() {}, onClosed() {} },
    send: (datagram) => void hellos.push(datagram),
  });
  const handshake = client.handshake(new AbortController().signal);
  let nowMs = 60_000;
  const gate = new CookieGate(() => nowMs);
  const first = gate.greet(hellos[0]!, FROM);
  assert.ok(first !== undefined && "answer" in first);
  client.receive(first.answer);
  await new Promise((resolve) => setTimeout(resolve, 0));
  const second = hellos.at(-1)!;
  nowMs = 179_999;
  assert.ok("start" in (gate.greet(second, FROM) ?? {}));
  nowMs = 180_000;
  assert.ok("answer" in (gate.greet(second, FROM) ?? {}));
  client.close();
  await assert.rejects(handshake, /closed/);
});

Deno.test("a client that says among its cipher suites that it renegotiates safely is answered so", () => {
  const hello = encodeClientHello(new Uint8Array(32), new Uint8Array()).toHex();
  const answersTo = (hex: string) => parseClientHello(Uint8Array.fromHex(hex)).answers.toHex();
  assert.match(answersTo(hello), /ff01000100/);
  const silent = hello.replace("ff01000100", "ff02000100");
  assert.doesNotMatch(answersTo(silent), /ff01000100/);
  // As OpenSSL does.
  assert.match(answersTo(silent.replace("0004cca9c02b", "000400ffc02b")), /ff01000100/);
});
