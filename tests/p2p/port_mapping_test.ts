import assert from "node:assert/strict";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { createLogger } from "../../core/log.ts";
import { systemClock } from "../../core/clock.ts";
import type { Gateway } from "../../p2p/port_mapping/gateway.ts";
import { NatPmpGateway } from "../../p2p/port_mapping/nat_pmp_gateway.ts";
import { PortMapper } from "../../p2p/port_mapping/port_mapper.ts";
import { UpnpGateway } from "../../p2p/port_mapping/upnp_gateway.ts";
import { startNatPmpRouter, startUpnpRouter } from "./fake_router.ts";

const LOOPBACK = "127.0.0.1";
const TCP = { protocol: "tcp", internalPort: 4001, externalPort: 4001, lifetimeS: 3600 } as const;

Deno.test("NatPmpGateway.map() asks again until it is heard and takes the port that it is given", async () => {
  await using router = await startNatPmpRouter({ taken: [4001], lose: 2 });
  const gateway = new NatPmpGateway(LOOPBACK, LOOPBACK, router.port);
  const { signal } = new AbortController();
  assert.equal(await gateway.externalAddress(signal), "5.5.5.5");
  assert.deepEqual(await gateway.map(TCP, signal), { externalPort: 4002, lifetimeS: 3600 });
  await gateway.unmap({ ...TCP, protocol: "udp" }, signal);
  assert.deepEqual(router.asked, ["map tcp 4001 -> 4001 for 3600", "map udp 4001 -> 0 for 0"]);
});

Deno.test("NatPmpGateway.map() says why it was refused", async () => {
  await using router = await startNatPmpRouter({ refuse: 2 });
  const gateway = new NatPmpGateway(LOOPBACK, LOOPBACK, router.port);
  await assert.rejects(gateway.map(TCP, new AbortController().signal), /it does not allow it/);
});

Deno.test("NatPmpGateway.externalAddress() ends with the signal when nobody answers", async () => {
  await using router = await startNatPmpRouter({ lose: 100 });
  const gateway = new NatPmpGateway(LOOPBACK, LOOPBACK, router.port);
  const abort = new AbortController();
  const asking = gateway.externalAddress(abort.signal);
  abort.abort(new Error("enough"));
  await assert.rejects(asking, /enough/);
});

for (const version of [1, 2] as const) {
  Deno.test(`UpnpGateway.find() finds a router of version ${version}, which opens and closes ports`, async () => {
    await using router = await startUpnpRouter({ version });
    const { signal } = new AbortController();
    const gateway = await UpnpGateway.find({ from: LOOPBACK, group: groupOf(router.port) }, signal);
    assert.equal(await gateway.externalAddress(signal), "5.5.5.5");
    assert.deepEqual(await gateway.map(TCP, signal), { externalPort: 4001, lifetimeS: 3600 });
    await gateway.unmap(TCP, signal);
    assert.deepEqual(router.asked, [
      "AddPortMapping TCP 4001 127.0.0.1:4001 for 3600",
      "DeletePortMapping TCP 4001 : for ",
    ]);
  });
}

Deno.test("UpnpGateway.map() takes another port for one that is taken, and no end where there must be none", async () => {
  await using router = await startUpnpRouter({ taken: [4001], onlyWithoutEnd: true });
  const { signal } = new AbortController();
  const gateway = await UpnpGateway.find({ from: LOOPBACK, group: groupOf(router.port) }, signal);
  const { externalPort, lifetimeS } = await gateway.map(TCP, signal);
  assert.ok(externalPort >= 49_152, String(externalPort));
  assert.equal(lifetimeS, 3600);
  assert.match(router.asked.at(-1) ?? "", /for 0$/);
});

Deno.test("UpnpGateway.map() says why it was refused", async () => {
  await using router = await startUpnpRouter({ refuse: 606 });
  const { signal } = new AbortController();
  const gateway = await UpnpGateway.find({ from: LOOPBACK, group: groupOf(router.port) }, signal);
  await assert.rejects(gateway.map(TCP, signal), /refuses AddPortMapping: no 606/);
});

Deno.test("UpnpGateway.find() takes no router that sends this node to another host", async () => {
  await using router = await startUpnpRouter({ controlHost: "127.0.0.3" });
  const finding = UpnpGateway.find(
    { from: LOOPBACK, group: groupOf(router.port) },
    new AbortController().signal,
  );
  await assert.rejects(finding, /no service that opens ports/);
});

Deno.test("PortMapper.run() announces what the router opened and gives it back in the end", async () => {
  await using router = await startNatPmpRouter({ taken: [4002] });
  const { mapper, changed, stop } = startMapper(privateRouter(router.port), [
    "/ip4/127.0.0.1/tcp/4001",
    "/ip4/192.168.7.2/tcp/4001",
    "/ip4/192.168.7.2/udp/4002/quic-v1/noise",
    "/ip4/192.168.7.2/tcp/4003/ws",
    "/ip4/10.0.0.2/tcp/4004",
  ]);
  await changed();
  assert.equal(mapper.status().state, "mapped");
  assert.deepEqual(mapper.addresses().map(String), [
    "/ip4/5.5.5.5/tcp/4001",
    "/ip4/5.5.5.5/udp/4003/quic-v1/noise",
    "/ip4/5.5.5.5/tcp/4003/ws",
  ]);
  await stop();
  assert.deepEqual(router.asked, [
    "map tcp 4001 -> 4001 for 3600",
    "map udp 4002 -> 4002 for 3600",
    "map tcp 4003 -> 4003 for 3600",
    "map tcp 4001 -> 0 for 0",
    "map udp 4002 -> 0 for 0",
    "map tcp 4003 -> 0 for 0",
  ]);
  assert.deepEqual(mapper.status(), { state: "off", addresses: [] });
});

Deno.test("PortMapper.run() renews with the port it was given, and withdraws it when the router refuses", async () => {
  await using router = await startNatPmpRouter({ taken: [4001] });
  const grants = privateRouter(router.port);
  let refuses = false;
  const gateway: Gateway = {
    ...{ name: grants.name, from: grants.from },
    externalAddress: (signal) => grants.externalAddress(signal),
    map: (request, signal) => refuses ? Promise.reject(new Error("no more")) : grants.map(request, signal),
    unmap: (port, signal) => grants.unmap(port, signal),
  };
  const { mapper, changed, wake, stop } = startMapper(gateway, ["/ip4/192.168.7.2/tcp/4001"]);
  await changed();
  await wake();
  assert.deepEqual(router.asked, ["map tcp 4001 -> 4001 for 3600", "map tcp 4001 -> 4002 for 3600"]);
  refuses = true;
  const withdrawn = changed();
  await wake();
  await withdrawn;
  assert.deepEqual(mapper.status(), {
    ...{ state: "failed", gateway: gateway.name, reason: "no more", addresses: [] },
  });
  await stop();
});

Deno.test("PortMapper.run() announces no address of a router that is behind another NAT", async () => {
  await using router = await startNatPmpRouter({ externalAddress: "100.64.3.2" });
  const { mapper, changed, stop } = startMapper(privateRouter(router.port), ["/ip4/192.168.7.2/tcp/4001"]);
  await changed();
  assert.match(mapper.status().reason ?? "", /100\.64\.3\.2 is behind another NAT/);
  assert.deepEqual(router.asked, []);
  await stop();
});

Deno.test("PortMapper.run() looks for no router when only loopback is listened on", async () => {
  let searches = 0;
  const mapper = new PortMapper({
    findGateway: () => Promise.resolve(void searches++),
    listening: () => [multiaddr("/ip4/127.0.0.1/tcp/4001"), multiaddr("/ip4/5.5.0.1/tcp/4001")],
    ...{ onChange: () => {}, clock: systemClock, logger: silent() },
  });
  const abort = new AbortController();
  const running = mapper.run(abort.signal);
  mapper.lookAgain();
  assert.equal(mapper.status().state, "off");
  abort.abort();
  await running;
  assert.equal(searches, 0);
});

Deno.test("PortMapper.lookAgain() finds the router of the network that this machine has come to", async () => {
  await using router = await startNatPmpRouter();
  const listening = ["/ip4/127.0.0.1/tcp/4001"];
  const { mapper, changed, wake, stop } = startMapper(privateRouter(router.port), listening);
  assert.equal(mapper.status().state, "off");
  listening.push("/ip4/192.168.7.2/tcp/4001");
  const mapped = changed();
  await wake(() => mapper.lookAgain());
  await mapped;
  assert.deepEqual(mapper.addresses().map(String), ["/ip4/5.5.5.5/tcp/4001"]);
  await stop();
});

function groupOf(port: number) {
  return { address: LOOPBACK, port };
}

/** A router on loopback that takes itself for one of 192.168.7.0/24. */
function privateRouter(port: number): Gateway {
  const gateway = new NatPmpGateway(LOOPBACK, LOOPBACK, port);
  return {
    name: gateway.name,
    from: "192.168.7.2",
    externalAddress: (signal) => gateway.externalAddress(signal),
    map: (request, signal) => gateway.map(request, signal),
    unmap: (port, signal) => gateway.unmap(port, signal),
  };
}

/** A mapper that sleeps until it is woken. */
function startMapper(gateway: Gateway, listening: readonly string[]) {
  const abort = new AbortController();
  let changes = Promise.withResolvers<void>();
  let asleep = Promise.withResolvers<() => void>();
  const mapper = new PortMapper({
    findGateway: () => Promise.resolve(gateway),
    listening: (): Multiaddr[] => listening.map((address) => multiaddr(address)),
    onChange() {
      changes.resolve();
      changes = Promise.withResolvers();
    },
    clock: {
      now: () => 0,
      sleep: (_delayMs, signal) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted) return reject(signal.reason);
          signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
          asleep.resolve(resolve);
        }),
    },
    logger: silent(),
  });
  const running = mapper.run(abort.signal);
  return {
    mapper,
    changed: () => changes.promise,
    /** Ends its pause, or has `end` do that, and waits for the next one. */
    async wake(end?: () => void) {
      const resume = await asleep.promise;
      asleep = Promise.withResolvers();
      (end ?? resume)();
      await asleep.promise;
    },
    async stop() {
      await asleep.promise;
      abort.abort();
      await running;
    },
  };
}

function silent() {
  return createLogger({ level: "error", write: () => {} });
}
