import assert from "node:assert/strict";
import { startChildHost } from "./start_child_host.ts";
import { openTestHost } from "./test_host.ts";

Deno.test("hosts in several processes share the mDNS port, find each other and exit by themselves when closed", async () => {
  const serviceTag = `_t${crypto.randomUUID().slice(0, 8)}._udp.local`;
  await using host = await openTestHost({ mdns: { enabled: true, serviceTag, interfaces: ["127.0.0.1"] } });
  const children = [startChildHost(serviceTag), startChildHost(serviceTag)];
  await host.until(() => host.connected.length === 2);
  const echo = new Uint8Array([1, 2, 3]);
  for (const { peerId } of host.connected) {
    assert.deepEqual(await host.host.exchangeCard(peerId, echo), echo);
    assert.ok(await host.host.ping(peerId) > 0);
  }
  for (const child of children) {
    const lines = await child.linesUntil((seen) =>
      seen.filter((line) => line.startsWith("connected ")).length === 2
    );
    const own = lines.find((line) => line.startsWith("host "))?.slice("host ".length);
    assert.ok(host.connected.some(({ peerId }) => peerId === own));
    assert.ok(lines.includes(`connected ${host.peerId}`));
  }
  for (const child of children) {
    assert.equal((await child.stop()).code, 0);
  }
  await host.until(() => host.disconnected.length === 2);
});
