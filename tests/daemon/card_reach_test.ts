import assert from "node:assert/strict";
import type { AgentCard } from "../../a2a/mod.ts";
import { silentLogger } from "../../core/log.ts";
import { OwnReach } from "../../daemon/card_reach.ts";

const OWN = "12D3KooW9pP4Seg3kZYhySpuVjn1RPdQBsUFZKiFxGMGQN5MeL6A";
const RELAY = "12D3KooWJRSrypvnpHgc6ZAgyCni4KcSmbV7uGRaMw5LgMKT18fq";
const RELAYED = `/ip4/192.0.2.7/tcp/4001/p2p/${RELAY}/p2p-circuit/p2p/${OWN}`;

Deno.test("OwnReach has the card say what is listened on and where relays lead to it, and tells peers once per change", async () => {
  let relayed: string[] = [];
  const listening = [`/ip4/10.0.0.2/tcp/1/p2p/${OWN}`, `/ip4/10.0.0.2/udp/1/quic-v1/noise/p2p/${OWN}`];
  await using reach = new OwnReach();
  let own: Partial<AgentCard> = { supportedTransports: ["tcp"], relayAddresses: [] };
  const told: unknown[] = [];
  let announced = Promise.withResolvers<void>();
  assert.deepEqual(reach.now(), { supportedTransports: [], relayAddresses: [] });
  reach.serve({
    host: { addresses: () => [...listening, ...relayed], relayedAddresses: () => relayed },
    cards: {
      get own() {
        return own as AgentCard;
      },
      refreshOwn: () => Promise.resolve(void (own = { ...own, ...reach.now() })),
    },
    wire: {
      announceCard() {
        told.push([own.supportedTransports, own.relayAddresses]);
        announced.resolve();
        announced = Promise.withResolvers();
        return Promise.resolve();
      },
    },
    logger: silentLogger,
  });
  await announced.promise;
  relayed = [RELAYED];
  const again = announced.promise;
  for (let i = 0; i < 3; i++) reach.changed();
  await again;
  await Promise.resolve();
  const transports = ["tcp", "quic-v1/noise"];
  assert.deepEqual(told, [[transports, []], [transports, [RELAYED]]]);
});
