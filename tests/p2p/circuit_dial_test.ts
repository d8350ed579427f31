import assert from "node:assert/strict";
import type { Connection, ConnectionLimits, MultiaddrConnection, Stream } from "@libp2p/interface";
import { type ByteStream, byteStream, streamPair } from "@libp2p/utils";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { multiaddr } from "@multiformats/multiaddr";
import { type CircuitDialDeps, dialCircuit, steadiest } from "../../p2p/circuit_dial.ts";
import {
  EAGER_HOP_PROTOCOL,
  encodeHopStatus,
  HOP_PROTOCOL,
  HOP_STATUS,
} from "../../p2p/relay_server/hop_messages.ts";

// libp2p's pairs of streams leave timers behind.
const leaks = { sanitizeOps: false, sanitizeResources: false };
const RELAY = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const PEER = "12D3KooW9pP4Seg3kZYhySpuVjn1RPdQBsUFZKiFxGMGQN5MeL6A";
const ADDRESS = multiaddr(`/ip4/192.0.2.7/tcp/4001/p2p/${RELAY}/p2p-circuit/p2p/${PEER}`);
const REQUEST_BYTES = 45;
const OK = framed(encodeHopStatus(HOP_STATUS.ok, { limit: { durationSeconds: 60, dataBytes: 1_000 } }));

function framed(bytes: Uint8Array): Uint8Array {
  return new BinaryWriter().bytes(bytes).finish();
}

const text = (bytes: { subarray(): Uint8Array }) => new TextDecoder().decode(bytes.subarray());

/** A dial through a relay that the test plays; whoever upgrades the connection says `begin` and waits for `go on`. */
async function rig(spoken: readonly string[] | undefined) {
  const [near, far] = await streamPair();
  const asked: string[] = [];
  const relay = {
    ...{ status: "open", remoteAddr: multiaddr("/ip4/192.0.2.7/tcp/4001"), timeline: { open: 0 } },
    newStream: (protocol: string) => {
      asked.push(protocol);
      return Promise.resolve(near);
    },
  } as unknown as Connection;
  const upgraded = Promise.withResolvers<{ limits?: ConnectionLimits; heard: string }>();
  const deps = {
    connectionManager: { getConnections: () => [relay] },
    peerStore: {
      get: () => spoken ? Promise.resolve({ protocols: spoken }) : Promise.reject(new Error("not known")),
    },
    upgrader: {
      async upgradeOutbound(circuit: MultiaddrConnection, options: { limits?: ConnectionLimits }) {
        circuit.send(new TextEncoder().encode("begin"));
        const heard = text(await byteStream(circuit).read({ bytes: 5 }));
        upgraded.resolve({ ...options.limits && { limits: options.limits }, heard });
        return relay;
      },
    },
  } as unknown as CircuitDialDeps;
  const signal = AbortSignal.timeout(20_000);
  const dialed = dialCircuit(deps, ADDRESS, { signal } as never);
  dialed.catch(() => {
    // Each test awaits it.
  });
  const relayed: ByteStream<Stream> = byteStream(far);
  const read = async (bytes: number) => text(await relayed.read({ bytes, signal }));
  await read(REQUEST_BYTES);
  return { asked, dialed, upgraded: upgraded.promise, relayed, read };
}

Deno.test("steadiest() prefers what is open, direct and old, and then what is not QUIC", () => {
  const nowMs = 1_000_000;
  const connection = (address: string, { status = "open", ageMs = 60_000 } = {}) =>
    ({ status, remoteAddr: multiaddr(address), timeline: { open: nowMs - ageMs } }) as Connection;
  const quic = connection("/ip4/192.0.2.7/udp/1/quic-v1/noise");
  const tcp = connection("/ip4/192.0.2.7/tcp/1", { ageMs: 6_000 });
  const gone = connection("/ip4/192.0.2.7/tcp/1", { status: "closed" });
  const triedOut = connection("/ip4/192.0.2.7/tcp/1", { ageMs: 100 });
  assert.equal(steadiest([gone, connection(ADDRESS.toString()), tcp, quic], nowMs), tcp);
  assert.equal(steadiest([triedOut, gone, quic], nowMs), quic);
  assert.equal(steadiest([triedOut], nowMs), triedOut);
  assert.equal(steadiest([gone], nowMs), undefined);
});

Deno.test(
  "dialCircuit() begins the connection behind its request where the relay takes that",
  leaks,
  async () => {
    const { asked, dialed, upgraded, relayed, read } = await rig([HOP_PROTOCOL, EAGER_HOP_PROTOCOL]);
    assert.equal(await read(5), "begin");
    await relayed.write(OK);
    await relayed.write(new TextEncoder().encode("go on"));
    await dialed;
    assert.deepEqual(await upgraded, { limits: { seconds: 60, bytes: 1_000n }, heard: "go on" });
    assert.deepEqual(asked, [EAGER_HOP_PROTOCOL]);
  },
);

for (const spoken of [[HOP_PROTOCOL], undefined]) {
  Deno.test(
    `dialCircuit() waits for the answer of a relay that speaks ${spoken ?? "it is not known what"}`,
    leaks,
    async () => {
      const { asked, dialed, upgraded, relayed, read } = await rig(spoken);
      const begin = read(5);
      const later = new Promise((resolve) => setTimeout(() => resolve("nothing yet"), 20));
      assert.equal(await Promise.race([begin, later]), "nothing yet");
      await relayed.write(OK);
      assert.equal(await begin, "begin");
      await relayed.write(new TextEncoder().encode("go on"));
      await dialed;
      assert.equal((await upgraded).heard, "go on");
      assert.deepEqual(asked, [HOP_PROTOCOL]);
    },
  );
}

Deno.test("dialCircuit() says what a relay answers instead", leaks, async () => {
  const { dialed, relayed } = await rig([EAGER_HOP_PROTOCOL]);
  await relayed.write(framed(encodeHopStatus(HOP_STATUS.noReservation)));
  await assert.rejects(dialed, /status NO_RESERVATION/);
});
