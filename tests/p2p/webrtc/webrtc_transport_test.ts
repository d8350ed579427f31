import assert from "node:assert/strict";
import { base64url } from "multiformats/bases/base64";
import { dialerCertificate } from "../../../p2p/webrtc/certificate.ts";
import { createUfrag, encodeRequest, parseStun } from "../../../p2p/webrtc/stun.ts";
import { WebRtcSession } from "../../../p2p/webrtc/webrtc_session.ts";
import { Changes } from "../../support/patience.ts";
import { openTestHost } from "../test_host.ts";

const WEBRTC = { webRtcDirect: true, listen: ["/ip4/127.0.0.1/udp/0/webrtc-direct"] };
const PROTOCOL = "/test/webrtc/1.0";

const portOf = (address: string) => Number(/udp\/(\d+)/.exec(address)?.[1]);

Deno.test("frames and pings pass over WebRTC-direct both ways, whole and in order", async () => {
  await using a = await openTestHost(WEBRTC);
  await using b = await openTestHost(WEBRTC);
  assert.match(b.address, /^\/ip4\/127\.0\.0\.1\/udp\/\d+\/webrtc-direct\/certhash\/uEi[\w-]{43,}\/p2p\//);
  const peer = await a.host.connect(b.peerId, [b.address]);
  assert.deepEqual([peer.transport, peer.relayed], ["webrtc-direct", false]);
  const frame = new Uint8Array(2_000_000).map((_, i) => i * 7 % 251);
  await a.host.sendA2aFrame(b.peerId, frame);
  await b.host.sendA2aFrame(a.peerId, Uint8Array.of(7));
  await Promise.all([a.until(() => a.frames.length === 1), b.until(() => b.frames.length === 1)]);
  assert.deepEqual(b.frames[0]?.frame, frame);
  assert.equal(b.frames[0]?.peerId, a.peerId);
  assert.ok(await b.host.ping(a.peerId) > 0);
});

Deno.test("an address of WebRTC-direct stays good over a restart, and for the node alone that it names", async () => {
  const seed = crypto.getRandomValues(new Uint8Array(32));
  const hashOf = (address: string) => /certhash\/([^/]+)/.exec(address)?.[1];
  const first = await openTestHost({ ...WEBRTC, seed });
  await first[Symbol.asyncDispose]();
  await using b = await openTestHost({ ...WEBRTC, seed });
  assert.equal(hashOf(b.address), hashOf(first.address));
  await using a = await openTestHost({ ...WEBRTC, listen: [] });
  await using other = await openTestHost(WEBRTC);
  const somebodyElse = b.address.replace(b.peerId, other.peerId);
  await assert.rejects(a.host.connect(other.peerId, [somebodyElse]), /expected peer|remote peer|identity/i);
  const foreignHash = b.address.replace(hashOf(b.address)!, hashOf(other.address)!);
  await assert.rejects(a.host.connect(b.peerId, [foreignHash]), /not the one of the address/);
  const noHash = b.address.replace(/\/certhash\/[^/]+/, "");
  await assert.rejects(a.host.connect(b.peerId, [noHash]), /No transport available/);
  assert.equal(a.connected.length, 0);
  await a.host.connect(b.peerId, [b.address]);
  await b.until(() => b.connected.length > 0);
  assert.equal(b.connected[0]?.peerId, a.peerId);
});

Deno.test("a channel over WebRTC-direct tells its end from having been given up", async () => {
  const ends: string[] = [];
  const changes = new Changes();
  const note = (end: string) => {
    ends.push(end);
    changes.tell();
  };
  const until = (end: string) => changes.until(() => ends.includes(end));
  await using b = await openTestHost({
    ...WEBRTC,
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
  await using a = await openTestHost({ ...WEBRTC, listen: [] });
  await a.host.connect(b.peerId, [b.address]);
  const closed = await a.host.openChannel(b.peerId, PROTOCOL);
  await closed.send(Uint8Array.of(1));
  await closed.close();
  await until("end");
  const aborted = await a.host.openChannel(b.peerId, PROTOCOL);
  await aborted.send(Uint8Array.of(2));
  await until("frame 2");
  aborted.abort(new Error("given up"));
  await until("reset");
  assert.deepEqual(ends, ["frame 1", "end", "frame 2", "reset"]);
});

Deno.test("a host with open WebRTC connections stops, and its peer knows it at once", async () => {
  await using b = await openTestHost(WEBRTC);
  const a = await openTestHost({ ...WEBRTC, listen: [] });
  await a.host.connect(b.peerId, [b.address]);
  await b.until(() => b.connected.length === 1);
  await a[Symbol.asyncDispose]();
  await b.until(() => b.disconnected.length === 1);
});

Deno.test("peers meet over IPv6 by WebRTC-direct, after QUIC and TCP have been tried", async () => {
  const listen = ["/ip6/::1/udp/0/webrtc-direct"];
  await using b = await openTestHost({ ...WEBRTC, listen: [...listen, "/ip6/::1/tcp/0"] });
  await using a = await openTestHost({ ...WEBRTC, listen });
  await using c = await openTestHost({ ...WEBRTC, listen: [] });
  const addresses = b.host.addresses();
  assert.equal((await c.host.connect(b.peerId, addresses)).transport, "tcp");
  const [webrtc] = addresses.filter((address) => address.includes("webrtc"));
  assert.equal((await a.host.connect(b.peerId, [webrtc!])).transport, "webrtc-direct");
});

Deno.test("whoever knocks at a WebRTC socket without shaking hands is forgotten, and harms nobody", async () => {
  await using host = await openTestHost(WEBRTC);
  await using good = await openTestHost({ ...WEBRTC, listen: [] });
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const to = { transport: "udp", hostname: "127.0.0.1", port: portOf(host.address) } as const;
  const transaction = new Uint8Array(12);
  // Damaged ones, ones for somebody else and ones that only begin are not answered.
  const ufrag = createUfrag();
  const request = encodeRequest(transaction, ufrag);
  const unproven = request.slice();
  unproven[30]! ^= 1;
  const foreign = encodeRequest(transaction, "somebody");
  for (
    const datagram of [
      unproven,
      foreign,
      Uint8Array.of(22, 0xfe, 0xfd, 0),
      Uint8Array.of(128),
      new Uint8Array(),
    ]
  ) {
    await socket.send(datagram, to);
  }
  await socket.send(request, to);
  const [answer] = await socket.receive();
  assert.equal(parseStun(answer)?.kind, "success");
  // Hands half shaken: a hello with its cookie, and silence.
  const certificate = await dialerCertificate();
  const hellos: Uint8Array[] = [];
  const sessions = Array.from({ length: 3 }, () =>
    new WebRtcSession({
      ...{ role: "client", certificate, checkCertificate() {}, onClosed() {} },
      send: (datagram) => void hellos.push(datagram),
    }));
  const silent = Promise.all(
    sessions.map((session) => assert.rejects(session.connect(AbortSignal.timeout(10_000)))),
  );
  for (const hello of hellos) await socket.send(hello, to);
  await good.host.connect(host.peerId, [host.address]);
  await good.host.sendA2aFrame(host.peerId, Uint8Array.of(1));
  await host.until(() => host.frames.length === 1);
  for (const session of sessions) session.close();
  await silent;
  socket.close();
});

Deno.test("dialing over WebRTC-direct ends at somebody who answers nothing, or something else", async () => {
  await using a = await openTestHost({ ...WEBRTC, listen: [], limits: { dialTimeoutMs: 300 } });
  await using b = await openTestHost(WEBRTC);
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const { port } = socket.addr as Deno.NetAddr;
  const echoing = (async () => {
    for await (const [datagram, from] of socket) await socket.send(datagram, from);
  })();
  const address = b.address.replace(/udp\/\d+/, `udp/${port}`);
  await assert.rejects(a.host.connect(b.peerId, [address]), /No answer within 300 ms/);
  const short = b.address.replace(
    /certhash\/[^/]+/,
    `certhash/u${base64url.encode(Uint8Array.of(0x12, 1, 7)).slice(1)}`,
  );
  await assert.rejects(a.host.connect(b.peerId, [short]), /No transport available/);
  socket.close();
  await echoing;
});
