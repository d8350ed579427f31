import assert from "node:assert/strict";
import type { Connection, Libp2p } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import { silentLogger } from "../../core/log.ts";
import { PathKeeper } from "../../p2p/path_keeper.ts";

const PEER = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const RELAYED = `/ip4/192.0.2.9/tcp/1/p2p/${PEER}/p2p-circuit`;

interface FakeConnection {
  name: string;
  closed: boolean;
}

/** Connections of one peer, the best first, and a keeper that is told when one opens. */
function rig({ needsAll = false } = {}) {
  const connections: (Connection & FakeConnection)[] = [];
  const moved: string[] = [];
  const work: Promise<void>[] = [];
  let opened: (event: { detail: Connection }) => void = () => {};
  new PathKeeper({
    libp2p: {
      addEventListener: (_name: string, listener: typeof opened) => void (opened = listener),
    } as unknown as Libp2p,
    connectionsTo: () => connections.filter(({ closed }) => !closed),
    needsAll: () => needsAll,
    onBetterPath: (peerId) => void moved.push(peerId),
    inBackground: (task) => void work.push(task),
    signal: new AbortController().signal,
    clock: { now: () => 0, sleep: () => Promise.resolve() },
    logger: silentLogger,
  });
  return {
    moved,
    open: () => connections.filter(({ closed }) => !closed).map(({ name }) => name),
    async connect(
      name: string,
      address: string,
      direction: "inbound" | "outbound",
      place = connections.length,
    ) {
      const connection: Connection & FakeConnection = {
        ...{ name, direction, closed: false, status: "open", remoteAddr: multiaddr(address) },
        remotePeer: peerIdFromString(PEER),
        close() {
          connection.closed = true;
          return Promise.resolve();
        },
      } as unknown as Connection & FakeConnection;
      connections.splice(place, 0, connection);
      opened({ detail: connection });
      await Promise.all(work);
    },
  };
}

Deno.test("PathKeeper moves traffic to a direct connection and ends the relayed one", async () => {
  const { connect, open, moved } = rig();
  await connect("relayed", RELAYED, "inbound");
  assert.deepEqual([open(), moved], [["relayed"], []]);
  await connect("direct", "/ip4/192.0.2.1/tcp/1", "inbound", 0);
  assert.deepEqual([open(), moved], [["direct"], [PEER]]);
});

Deno.test("PathKeeper ends direct connections of its own beside a better one, and leaves those of the other side to it", async () => {
  const { connect, open } = rig();
  await connect("first", "/ip4/192.0.2.1/tcp/1", "inbound");
  await connect("own", "/ip4/192.0.2.1/tcp/2", "outbound");
  assert.deepEqual(open(), ["first"]);
  await connect("theirs", "/ip4/192.0.2.1/tcp/3", "inbound");
  assert.deepEqual(open(), ["first", "theirs"]);
});

Deno.test("PathKeeper leaves all connections to a relay alone", async () => {
  const { connect, open, moved } = rig({ needsAll: true });
  await connect("tcp", "/ip4/192.0.2.1/tcp/1", "outbound");
  await connect("quic", "/ip4/192.0.2.1/udp/1/quic-v1/noise", "outbound");
  assert.deepEqual([open(), moved], [["tcp", "quic"], []]);
});
