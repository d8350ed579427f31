/** A host in a process of its own: finds peers of the tag `argv[0]` on loopback until its input ends. */
import { silentLogger } from "../../core/log.ts";
import { openP2pHost } from "../../p2p/mod.ts";
import { randomSeed } from "./test_host.ts";

{
  await using host = await openP2pHost({
    seed: randomSeed(),
    handlers: {
      onA2aFrame: () => Promise.resolve(),
      onCardFrame: (_peerId, frame) => Promise.resolve(frame),
      onPeerConnected: ({ peerId }) => console.log(`connected ${peerId}`),
      onPeerDisconnected: () => {},
    },
    logger: silentLogger,
  }, {
    listen: ["/ip4/127.0.0.1/tcp/0"],
    mdns: { enabled: true, serviceTag: Deno.args[0] ?? "", interfaces: ["127.0.0.1"] },
    agentVersion: "agentanycast-test/0",
  });
  console.log(`host ${host.peerId}`);
  for await (const _chunk of Deno.stdin.readable);
}
