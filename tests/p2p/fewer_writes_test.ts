import type { ConnectionEncrypter, MessageStream, Stream } from "@libp2p/interface";
import { LengthPrefixedDecoder } from "@libp2p/utils";
import assert from "node:assert/strict";
import { Socket } from "node:net";
import { multiaddr } from "@multiformats/multiaddr";
import { Uint8ArrayList } from "uint8arraylist";
import { writingWhole } from "../../p2p/fewer_writes.ts";
import { Changes } from "../support/patience.ts";
import { startRawPeer } from "./raw_peer.ts";

const SINK = "/sink/1";
const SMALL = new Uint8Array(100);
/** More than a window of Yamux, which is 256 KiB at first. */
const LARGE = new Uint8Array(1024 * 1024);

/** A stream between two peers, and its far end with all that has come there. */
async function openSink(stack: AsyncDisposableStack) {
  const near = stack.use(await startRawPeer());
  const far = stack.use(await startRawPeer({ listen: true }));
  const opened = Promise.withResolvers<Stream>();
  await far.libp2p.handle(SINK, (stream) => opened.resolve(stream));
  const [address = ""] = far.libp2p.getMultiaddrs().map(String);
  const connection = await near.libp2p.dial(multiaddr(address));
  const stream = await connection.newStream(SINK);
  const end = await opened.promise;
  let came = 0;
  const changes = new Changes();
  end.addEventListener("message", ({ data }) => {
    came += data.byteLength;
    changes.tell();
  });
  const arrived = (bytes: number) => changes.until(() => came >= bytes, `${bytes} bytes`);
  return { stream, end, arrived };
}

/** Counts the calls of a method while `work` runs. */
function countCalls<T extends object>(target: T, method: keyof T, work: () => void): number {
  const inner = target[method] as (...args: unknown[]) => unknown;
  let calls = 0;
  target[method] = function (this: unknown, ...args: unknown[]) {
    calls++;
    return inner.apply(this, args);
  } as T[typeof method];
  try {
    work();
  } finally {
    target[method] = inner as T[typeof method];
  }
  return calls;
}

Deno.test("writingWhole() gives the socket each message with its length in one piece", async () => {
  await using stack = new AsyncDisposableStack();
  const { stream, arrived } = await openSink(stack);
  assert.equal(countCalls(Socket.prototype, "write", () => stream.send(SMALL)), 1);
  await arrived(SMALL.length);
});

Deno.test("writingWhole() tells Noise without an error that the next length has not come", async () => {
  const read = (data: Uint8ArrayList) => data.getUint16(0);
  const secured = { connection: { decoder: { lengthDecoder: read } } };
  const encrypter = writingWhole(() =>
    ({ secureInbound: () => secured, secureOutbound: () => secured }) as unknown as ConnectionEncrypter
  )({});
  for (const secure of ["secureInbound", "secureOutbound"] as const) {
    secured.connection.decoder.lengthDecoder = read;
    await encrypter[secure]({} as MessageStream);
    const decoder = new LengthPrefixedDecoder({ ...secured.connection.decoder, encodingLength: () => 2 });
    assert.deepEqual([...decoder.decode(Uint8Array.of(0))], []);
    const [frame] = decoder.decode(Uint8Array.of(2, 7, 8, 0));
    assert.deepEqual(frame?.subarray(), Uint8Array.of(7, 8));
    assert.ok(Number.isNaN(secured.connection.decoder.lengthDecoder(new Uint8ArrayList(Uint8Array.of(0)))));
  }
});

Deno.test("sparingWindows() gives bytes back when half of the window is used, and not before", async () => {
  await using stack = new AsyncDisposableStack();
  const { stream, end, arrived } = await openSink(stack);
  const inner = end as unknown as { sendFrame(...args: unknown[]): boolean };
  const send = inner.sendFrame;
  let updates = 0;
  inner.sendFrame = (...args) => {
    updates++;
    return send(...args);
  };
  for (let i = 1; i <= 10; i++) {
    stream.send(SMALL);
    await arrived(i * SMALL.length);
  }
  assert.equal(updates, 0);
  stream.send(LARGE);
  await arrived(10 * SMALL.length + LARGE.length);
  assert.ok(updates > 0);
});
