/**
 * A host in a process of its own: finds peers of the tag `argv[0]` until its input ends. On loopback, or on all interfaces
 * when `argv` goes on with addresses to listen on.
 */
import { silentLogger } from "../../core/log.ts";
import { openP2pHost } from "../../p2p/mod.ts";
import { randomSeed } from "./test_host.ts";

const [tag = "", ...listen] = Deno.args;

{
  await using host = await openP2pHost({
    seed: randomSeed(),
    handlers: {
      onA2aFrame: () => Promise.resolve(),
      onCardFrame: (_peerId, frame) => Promise.resolve(frame),
      onPeerConnected: ({ peerId, address }) => console.log(`connected ${peerId}\nat ${address}`),
      onPeerDisconnected: () => {},
    },
    logger: silentLogger,
  }, {
    listen: listen.length > 0 ? listen : ["/ip4/127.0.0.1/tcp/0"],
    mdns: { enabled: true, serviceTag: tag, interfaces: listen.length > 0 ? [] : ["127.0.0.1"] },
    agentVersion: "agentanycast-test/0",
  });
  console.log(`host ${host.peerId}`);
  for await (const _chunk of Deno.stdin.readable);
}
