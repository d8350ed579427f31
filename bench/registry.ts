/**
 * What a relay's registry does: signed registrations, heartbeats and queries per second and the memory they take, all over
 * gRPC between two processes, and how long 10,000 registrations take over a chain of three relays.
 *
 *     deno task bench:registry [--sizes 1000,4096,100000] [--federate 10000 | 0]
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  createIdentity,
  type RegistryRecord,
  type SignedRegistryRecord,
  signRegistryRecord,
} from "../identity/mod.ts";
import { RegistryClient } from "../registry/mod.ts";
import { createCallClient } from "../rpc/call_client.ts";
import { RunningProgram } from "../tests/support/program.ts";
import { describeMachine } from "./machine.ts";
import { residentMiB } from "./processes.ts";
import { toDigits, toTable } from "./table.ts";

const MAIN = [Deno.execPath(), "run", "-A", join(import.meta.dirname ?? ".", "..", "main.ts")];
const IN_FLIGHT = 64;
const SKILLS = 100;

interface Registered {
  readonly record: RegistryRecord;
  readonly signed: SignedRegistryRecord;
}

/** Starts a relay that keeps its registrations in a folder of `home`, as usual. */
async function startRelay(home: string, more: readonly string[] = []) {
  const flags = [
    "--registry-capacity",
    "200000",
    "--registry-max-bytes",
    "2000000000",
    "--registry-ttl",
    "10m",
  ];
  const servers = [
    "--mcp-listen=off",
    "--metrics-listen=off",
    "--api-listen=127.0.0.1:0",
    "--log-level=error",
  ];
  const program = new RunningProgram([
    ...MAIN,
    ...["relay", "--home", home, "--listen", "/ip4/127.0.0.1/tcp/0", "--registry-listen", "127.0.0.1:0"],
    ...[...flags, ...servers, ...more],
  ]);
  const address = await program.value("RELAY_ADDR");
  return {
    program,
    address,
    registry: await program.value("REGISTRY_ADDR"),
    api: await program.value("API_ADDR"),
  };
}

function sign(number: number): Registered {
  const seed = new Uint8Array(32);
  new DataView(seed.buffer).setUint32(0, number + 1);
  const identity = createIdentity(seed);
  const nowMs = Date.now();
  const facts = {
    ...{ sequence: 1, issuedAtMs: nowMs, expiresAtMs: nowMs + 3_600_000, removed: false },
    ...{
      name: `Agent ${number}`,
      description: "Translates text between languages",
      addresses: ["/ip4/192.0.2.1/tcp/4001"],
    },
    skills: [{ id: `skill-${number % SKILLS}`, description: "Does one thing well", tags: { lang: "de" } }],
  };
  return { record: { ...facts, peerId: identity.peerId }, signed: signRegistryRecord(facts, identity) };
}

/** Does `work` for all of 0 to `count`, many at once; answers how many a second, and the times of each in milliseconds. */
async function measure(count: number, work: (index: number) => Promise<unknown>) {
  const times: number[] = [];
  const startMs = performance.now();
  let next = 0;
  await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
    while (next < count) {
      const index = next++;
      const beginMs = performance.now();
      await work(index);
      times.push(performance.now() - beginMs);
    }
  }));
  times.sort((a, b) => a - b);
  return { perSecond: count / ((performance.now() - startMs) / 1000), times };
}

/** The 99th of 100 of so many calls made one after the other, in milliseconds. */
async function p99Alone(count: number, work: (index: number) => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let index = 0; index < count; index++) {
    const beginMs = performance.now();
    await work(index);
    times.push(performance.now() - beginMs);
  }
  return times.sort((a, b) => a - b)[Math.floor(count * 0.99)] ?? NaN;
}

/** The 99th of 100 of exact queries while four callers ask for words that no agent has, in milliseconds. */
async function p99BesideText(
  client: RegistryClient,
  exact: (index: number) => Promise<unknown>,
): Promise<number> {
  let isDone = false;
  const busy = Array.from({ length: 4 }, async () => {
    while (!isDone) await client.find({ text: "agent nowhere" });
  });
  const p99 = await p99Alone(200, exact);
  isDone = true;
  await Promise.all(busy);
  return p99;
}

async function benchSize(size: number) {
  const home = await Deno.makeTempDir();
  await using relay = (await startRelay(home)).program;
  using client = new RegistryClient({
    calls: createCallClient(`tcp://${await relay.value("REGISTRY_ADDR")}`),
  });
  const idleMiB = await residentMiB(relay.child.pid);
  const agents = Array.from({ length: size }, (_, index) => sign(index));
  const registered = await measure(size, (index) => client.register(agents[index] as Registered));
  // The same record again from somebody else changes nothing: what a heartbeat costs, with the check of its signature.
  const renewed = await measure(
    Math.min(size, 20_000),
    (index) => client.register(agents[index] as Registered),
  );
  const exact = (index: number) => client.find({ skill: `skill-${index % SKILLS}`, limit: 10 });
  const queries = await measure(5_000, exact);
  const p99 = await p99Alone(500, exact);
  const p99Text = await p99Alone(100, (index) => client.find({ text: `agent ${index} nowhere`, limit: 10 }));
  const besideText = await p99BesideText(client, exact);
  const residentNow = await residentMiB(relay.child.pid);
  await relay.stop("SIGKILL");
  await Deno.remove(home, { recursive: true });
  return {
    ...{ size, registrationsPerSecond: registered.perSecond, renewalsPerSecond: renewed.perSecond },
    ...{
      queriesPerSecond: queries.perSecond,
      queryP99Ms: p99,
      textQueryP99Ms: p99Text,
      besideTextP99Ms: besideText,
    },
    ...{ idleMiB, residentMiB: residentNow },
  };
}

async function benchFederation(count: number) {
  const homes = await Promise.all([1, 2, 3].map(() => Deno.makeTempDir()));
  const [one = "", two = "", three = ""] = homes;
  const a = await startRelay(one);
  const b = await startRelay(two, ["--federation-peers", a.address]);
  const c = await startRelay(three, ["--federation-peers", b.address]);
  await using stack = new AsyncDisposableStack();
  for (const { program } of [a, b, c]) stack.use(program);
  using client = new RegistryClient({ calls: createCallClient(`tcp://${c.registry}`) });
  const agents = Array.from({ length: count }, (_, index) => sign(index));
  const startMs = performance.now();
  await measure(count, (index) => client.register(agents[index] as Registered));
  const registeredMs = performance.now() - startMs;
  const known = async () => {
    const { registry } = await (await fetch(`http://${a.api}/api/v1/stats`)).json();
    return registry.federated_count as number;
  };
  while (await known() < count) await new Promise((resolve) => setTimeout(resolve, 20));
  const allMs = performance.now() - startMs;
  await stack.disposeAsync();
  await Promise.all(homes.map((home) => Deno.remove(home, { recursive: true })));
  return { count, registeredMs, allMs, behindMs: allMs - registeredMs };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      sizes: { type: "string", default: "1000,4096" },
      federate: { type: "string", default: "10000" },
    },
  });
  const sizes = [];
  for (const size of values.sizes.split(",").map(Number)) sizes.push(await benchSize(size));
  console.log(toTable([
    [
      "agents",
      "register/s",
      "same record/s",
      "query/s",
      "query p99 ms",
      "text p99 ms",
      "query beside text p99 ms",
      "idle MiB",
      "RSS MiB",
    ],
    ...sizes.map((one) => [
      String(one.size),
      ...[one.registrationsPerSecond, one.renewalsPerSecond, one.queriesPerSecond, one.queryP99Ms].map(
        toDigits,
      ),
      ...[one.textQueryP99Ms, one.besideTextP99Ms, one.idleMiB, one.residentMiB].map(toDigits),
    ]),
  ]));
  if (values.federate === "0") return console.log(JSON.stringify({ machine: describeMachine(), sizes }));
  const federation = await benchFederation(Number(values.federate));
  console.log(
    `\n${federation.count} registrations over a chain of three relays: registered at one end in ` +
      `${toDigits(federation.registeredMs)} ms, all at the other end ${
        toDigits(federation.behindMs)
      } ms later`,
  );
  console.log(JSON.stringify({ machine: describeMachine(), sizes, federation }));
}

await main();
