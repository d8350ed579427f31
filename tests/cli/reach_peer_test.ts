import { deepEqual, equal, rejects } from "node:assert/strict";
import { reachPeer } from "../../cli/reach_peer.ts";
import { parsePeerTarget } from "../../cli/peer_target.ts";
import { CodedError } from "../../core/errors.ts";
import { createIdentity } from "../../identity/mod.ts";
import { type PeerInfo, PeerNotFoundError } from "../../sdk/mod.ts";

const { peerId, didKey } = createIdentity(new Uint8Array(32).fill(1));
const ADDRESS = `/ip4/127.0.0.1/tcp/4001/p2p/${peerId}`;
const AWAY = new PeerNotFoundError("nobody there");

/** A node that cannot be connected `failures` times. */
function createConnector(isOwn: boolean, failures: number, error: Error = AWAY) {
  let nowMs = 0;
  const calls: (readonly string[])[] = [];
  const clock = {
    now: () => nowMs,
    sleep: (delayMs: number) => {
      nowMs += delayMs;
      return Promise.resolve();
    },
  };
  const connectPeer = (id: string, addresses: readonly string[] = []): Promise<PeerInfo> => {
    calls.push([id, ...addresses]);
    return calls.length > failures
      ? Promise.resolve({ peerId: id, addresses, connection: "direct" as const })
      : Promise.reject(error);
  };
  const options = { signal: new AbortController().signal, clock };
  return { calls, clock, options, connector: { isOwn, node: { connectPeer } } };
}

const isUnavailable = (error: unknown) => error instanceof CodedError && error.code === "unavailable";

Deno.test("reachPeer() connects to the address given", async () => {
  const { calls, connector, options } = createConnector(false, 0);
  equal((await reachPeer(connector, parsePeerTarget(ADDRESS), options)).peerId, peerId);
  deepEqual(calls, [[peerId, ADDRESS]]);
});

Deno.test("reachPeer() gives a daemon that has just started time to find the peer", async () => {
  const { calls, connector, options } = createConnector(true, 5);
  await reachPeer(connector, parsePeerTarget(peerId), options);
  equal(calls.length, 6);
});

Deno.test("reachPeer() throws unavailable after ten seconds of looking", async () => {
  const { clock, connector, options } = createConnector(true, Infinity);
  await rejects(reachPeer(connector, parsePeerTarget(peerId), options), isUnavailable);
  equal(clock.now(), 10_000);
});

Deno.test("reachPeer() throws unavailable at once when an address fails or the daemon has run for long", async () => {
  for (const [isOwn, target] of [[true, ADDRESS], [false, peerId]] as const) {
    const { calls, connector, options } = createConnector(isOwn, Infinity);
    await rejects(reachPeer(connector, parsePeerTarget(target), options), isUnavailable);
    equal(calls.length, 1);
  }
});

Deno.test("reachPeer() throws other errors as they are", async () => {
  const denied = new CodedError("permission_denied", "no");
  const { connector, options } = createConnector(true, 1, denied);
  await rejects(reachPeer(connector, parsePeerTarget(peerId), options), denied);
});

Deno.test("reachPeer() ends a dial that takes too long when the time is over", async () => {
  const late = new CodedError("deadline_exceeded", "late");
  const controller = new AbortController();
  const connectPeer = () => {
    controller.abort(late);
    return new Promise<PeerInfo>(() => {});
  };
  const connector = { isOwn: true, node: { connectPeer } };
  await rejects(reachPeer(connector, parsePeerTarget(ADDRESS), { signal: controller.signal }), late);
});

Deno.test("parsePeerTarget() reads ids, DIDs and addresses", () => {
  deepEqual(parsePeerTarget(peerId), { peerId, addresses: [] });
  deepEqual(parsePeerTarget(didKey), { peerId, addresses: [] });
  deepEqual(parsePeerTarget(ADDRESS), { peerId, addresses: [ADDRESS] });
});
