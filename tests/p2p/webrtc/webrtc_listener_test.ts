import { multiaddr } from "@multiformats/multiaddr";
import assert from "node:assert/strict";
import { silentLogger } from "../../../core/log.ts";
import { createLibp2pLogger } from "../../../p2p/libp2p_logger.ts";
import { dialerCertificate, listenerCertificate } from "../../../p2p/webrtc/certificate.ts";
import { DtlsConnection } from "../../../p2p/webrtc/dtls_connection.ts";
import { createUfrag, encodeRequest, parseStun } from "../../../p2p/webrtc/stun.ts";
import { WebRtcListener } from "../../../p2p/webrtc/webrtc_listener.ts";
import { WebRtcSession } from "../../../p2p/webrtc/webrtc_session.ts";
import { PATIENCE_MS } from "../../support/patience.ts";
import { randomSeed } from "../test_host.ts";

Deno.test("datagrams that mean nothing do not use up the answers of a WebRTC socket", async () => {
  const listener = new WebRtcListener({
    certificate: () => listenerCertificate(randomSeed()),
    accept: () => Promise.reject(new Error("nobody is to get so far")),
    log: createLibp2pLogger(silentLogger).forComponent("test"),
  });
  await listener.listen(multiaddr("/ip4/127.0.0.1/udp/0/webrtc-direct"));
  const port = Number(/udp\/(\d+)/.exec(String(listener.getAddrs()[0]))?.[1]);
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const to = { transport: "udp", hostname: "127.0.0.1", port } as const;
  const original = performance.now;
  // All of it within the same second.
  performance.now = () => 5;
  try {
    const junk = Uint8Array.of(22, 0xfe, 0xfd, 0);
    const ask = () => socket.send(encodeRequest(new Uint8Array(12), createUfrag()), to);
    for (let i = 0; i < 2_000; i++) {
      await socket.send(junk, to);
      // What the system has room for is not to be exceeded.
      if (i % 100 !== 0) continue;
      await ask();
      const [answer] = await Promise.race([
        socket.receive(),
        new Promise<never>((_, reject) =>
          AbortSignal.timeout(PATIENCE_MS).onabort = () => reject(new Error("no answer"))
        ),
      ]);
      assert.equal(parseStun(answer)?.kind, "success");
    }
  } finally {
    performance.now = original;
    socket.close();
    await listener.close();
  }
});

Deno.test("an error within a session ends that session and nothing else", async () => {
  const closed: (string | undefined)[] = [];
  const [certificate, own] = await Promise.all([listenerCertificate(randomSeed()), dialerCertificate()]);
  const common = { checkCertificate() {} };
  const server: WebRtcSession = new WebRtcSession({
    ...{ ...common, role: "server", certificate },
    send: (datagram) => queueMicrotask(() => client.receive(datagram.slice())),
    onClosed: (reason) => closed.push(reason?.message),
  });
  const client: WebRtcSession = new WebRtcSession({
    ...{ ...common, role: "client", certificate: own },
    send: (datagram) => queueMicrotask(() => server.receive(datagram.slice())),
    onClosed() {},
  });
  const signal = AbortSignal.timeout(PATIENCE_MS);
  await Promise.all([server.connect(signal), client.connect(signal)]);
  const told = Promise.withResolvers<void>();
  server.noiseChannel.attach({
    onMessage() {
      queueMicrotask(told.resolve);
      throw new TypeError("not foreseen");
    },
    onProgress() {},
    onClosed() {},
  });
  client.noiseChannel.send(Uint8Array.of(1));
  await told.promise;
  assert.deepEqual(closed, ["not foreseen"]);
  client.close();
});

Deno.test("handshakes that a peer lets fail at once make room for others after a second", async () => {
  let accepted = 0;
  const listener = new WebRtcListener({
    certificate: () => listenerCertificate(randomSeed()),
    accept: () => {
      accepted++;
      return Promise.reject(new Error("it fails"));
    },
    log: createLibp2pLogger(silentLogger).forComponent("test"),
  });
  await listener.listen(multiaddr("/ip4/127.0.0.1/udp/0/webrtc-direct"));
  const port = Number(/udp\/(\d+)/.exec(String(listener.getAddrs()[0]))?.[1]);
  const to = { transport: "udp", hostname: "127.0.0.1", port } as const;
  const certificate = await dialerCertificate();
  /** Says hello and returns the cookie; resolves when the listener has had both, and a question behind them. */
  const knock = async () => {
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    const client = new DtlsConnection({
      ...{ role: "client", certificate, checkCertificate() {}, onData() {}, onClosed() {} },
      send: (datagram) => void socket.send(datagram, to),
    });
    const handshake = client.handshake(AbortSignal.timeout(PATIENCE_MS)).catch(() => {});
    client.receive((await socket.receive())[0]);
    await new Promise((resolve) => setTimeout(resolve, 0));
    await socket.send(encodeRequest(new Uint8Array(12), createUfrag()), to);
    while (parseStun((await socket.receive())[0])?.kind !== "success");
    client.close();
    await handshake;
    socket.close();
  };
  const original = performance.now;
  let nowMs = 5_000;
  performance.now = () => nowMs;
  try {
    for (let i = 0; i < 70; i++) await knock();
    assert.equal(accepted, 64);
    nowMs += 1_000;
    await knock();
    assert.equal(accepted, 65);
  } finally {
    performance.now = original;
    await listener.close();
  }
});
