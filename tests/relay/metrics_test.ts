import assert from "node:assert/strict";
import * as grpc from "@grpc/grpc-js";
import { RegistryService } from "../../gen/agentanycast/v1/registry_service_pb.ts";
import { createRpcClient } from "../../rpc/rpc_client.ts";
import { openTestHost } from "../p2p/test_host.ts";
import { startTestRelay, type TestRelay } from "./test_relay.ts";

const metricsOf = async ({ relay }: TestRelay) =>
  await (await fetch(`${relay.urls.metrics?.url}/metrics`)).text();

/** The value of a metric without labels. */
const valueOf = (text: string, name: string) => Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1]);

Deno.test("/metrics counts calls by method and outcome", async () => {
  await using relay = await startTestRelay();
  using rpc = createRpcClient(relay.registry);
  const { discoverBySkill, heartbeat } = RegistryService.method;
  await rpc.unary(discoverBySkill, { skillId: "echo" });
  await rpc.unary(discoverBySkill, { skillId: "echo" });
  await assert.rejects(rpc.unary(discoverBySkill, {}), { code: "invalid_argument" });
  await assert.rejects(rpc.unary(heartbeat, { peerId: relay.relay.peerId }), { code: "not_found" });
  const text = await metricsOf(relay);
  const lines = text.split("\n").filter((line) => /^rpc_(requests_total|duration_seconds_count)/.test(line));
  assert.deepEqual(lines.sort(), [
    'rpc_duration_seconds_count{method="DiscoverBySkill"} 3',
    'rpc_duration_seconds_count{method="Heartbeat"} 1',
    'rpc_requests_total{method="DiscoverBySkill",code="invalid_argument"} 1',
    'rpc_requests_total{method="DiscoverBySkill",code="ok"} 2',
    'rpc_requests_total{method="Heartbeat",code="not_found"} 1',
  ]);
});

Deno.test("/metrics tells places, circuits, bytes and refusals", async () => {
  await using relay = await startTestRelay({ maxReservations: 1 });
  await using b = await openTestHost({ bootstrapPeers: [relay.address], listen: [] });
  await b.until(() => b.lines.some((line) => line.includes("Reachable through a relay")));
  await using a = await openTestHost({ bootstrapPeers: [relay.address], listen: [] });
  await a.until(() => a.lines.some((line) => line.includes("gives this node no place")));
  await a.host.connect(b.peerId, []);
  await a.host.sendA2aFrame(b.peerId, new Uint8Array(10_000));
  const text = await metricsOf(relay);
  const counts = [
    "relay_reservations",
    "relay_reservations_granted",
    "relay_circuits",
    "relay_circuits_opened",
  ];
  assert.deepEqual(counts.map((name) => valueOf(text, name)), [1, 1, 1, 1]);
  assert.ok(valueOf(text, "relay_bytes") > 10_000);
  assert.match(text, /^relay_refusals\{reason="maxReservations"\} [1-9]/m);
});

Deno.test("the gRPC port of a relay says that it serves, and the relay stops while somebody watches that", async () => {
  const relay = await startTestRelay();
  using _stop = { [Symbol.dispose]: () => client.close() };
  const client = new grpc.Client(relay.registry, grpc.credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1, // the shared pool has a timer that nobody stops
  });
  const asIs = (bytes: Uint8Array) => Buffer.from(bytes);
  const service = new TextEncoder().encode(RegistryService.typeName);
  const request = Buffer.from([0x0a, service.length, ...service]);
  const watch = client.makeServerStreamRequest("/grpc.health.v1.Health/Watch", asIs, asIs, request);
  const ended = new Promise<number>((resolve) =>
    watch.on("error", ({ code }: grpc.ServiceError) => resolve(code))
  );
  const status = await new Promise<Uint8Array>((resolve) => watch.once("data", resolve));
  assert.deepEqual([...status], [0x08, 1]);
  await relay[Symbol.asyncDispose]();
  assert.equal(await ended, grpc.status.CANCELLED);
});
