import type { Config } from "../../core/config.ts";
import { errorMessage } from "../../core/errors.ts";
import type { NodeInfo } from "../../sdk/mod.ts";
import { toCall } from "../call_text.ts";
import { describeNat } from "../nat_text.ts";
import { EXIT_FAILURE, EXIT_OK } from "../exit_codes.ts";
import type { Output } from "../output.ts";
import { findDaemon } from "../session.ts";
import type { VerbContext } from "../verb.ts";

/** Longest time of a connection attempt. */
const CONNECT_TIMEOUT_MS = 3_000;
/** Files that are younger than now by more than this were written by a clock that went otherwise. */
const CLOCK_SLACK_MS = 60_000;
const PROXY_NAMES = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy"];

/** One thing that was looked at. */
interface Finding {
  check: string;
  state: "ok" | "note" | "fault";
  found: string;
  /** What to do about it. */
  advice?: string;
}

/** Looks at everything that has to be right for this node to be reached, and says what to do about what is not. */
export async function run({ options, output, loadConfig }: VerbContext): Promise<number> {
  const config = loadConfig();
  const info = await askDaemon(config);
  const findings = [
    await checkKey(config),
    await checkStore(config),
    await checkClock(config),
    info instanceof Error
      ? checkSilentDaemon(info, toCall("daemon", options))
      : ok("daemon", `runs as ${info.peerId}, process ${info.pid ?? "unknown"}`),
    ...info instanceof Error ? [] : await checkNetwork(info),
    checkProxy(config),
  ];
  const faults = findings.filter(({ state }) => state === "fault").length;
  output.result({ ok: faults === 0, findings }, () => describe(findings, output));
  return faults === 0 ? EXIT_OK : EXIT_FAILURE;
}

async function askDaemon(config: Config): Promise<NodeInfo | Error> {
  try {
    await using session = await findDaemon(config.grpcListen);
    return session === undefined
      ? new Error(`nobody answers at ${config.grpcListen}`)
      : await session.node.info();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function checkSilentDaemon(error: Error, start: string): Finding {
  return fault("daemon", errorMessage(error), `start it: ${start}`);
}

async function checkKey({ keyPath }: Config): Promise<Finding> {
  const stat = await statOf(keyPath);
  if (stat === undefined) return note("key", `${keyPath} does not exist`, "it is made at the first start");
  const mode = (stat.mode ?? 0o600) & 0o777;
  if ((mode & 0o077) === 0) return ok("key", `${keyPath}, readable by its owner alone`);
  return fault("key", `${keyPath} can be read by others (${mode.toString(8)})`, `chmod 600 ${keyPath}`);
}

async function checkStore({ storePath }: Config): Promise<Finding> {
  const stat = await statOf(storePath);
  if (stat === undefined) {
    return note("store", `${storePath} does not exist`, "it is made at the first start");
  }
  if (!stat.isDirectory) {
    return fault("store", `${storePath} is not a folder`, "move it away, or choose another --store-path");
  }
  try {
    const probe = await Deno.makeTempFile({ dir: storePath, prefix: ".doctor-" });
    await Deno.remove(probe);
    return ok("store", `${storePath} can be written`);
  } catch (error) {
    return fault(
      "store",
      `${storePath}: ${errorMessage(error)}`,
      "free space, or give its owner the right to write",
    );
  }
}

async function checkClock({ storePath, keyPath }: Config): Promise<Finding> {
  const times = await Promise.all(
    [storePath, keyPath].map(async (path) => (await statOf(path))?.mtime?.getTime() ?? 0),
  );
  const aheadMs = Math.max(...times) - Date.now();
  if (aheadMs < CLOCK_SLACK_MS) return ok("clock", new Date().toISOString());
  const seconds = Math.round(aheadMs / 1000);
  return fault(
    "clock",
    `it is ${seconds} s behind files of this home`,
    "set the time, best by NTP: records and deadlines go by it",
  );
}

async function checkNetwork(info: NodeInfo): Promise<Finding[]> {
  const relays = info.relays ?? [];
  const ways = await Promise.all(relays.map(async (relay) => [checkRelay(relay), await checkTcp(relay)]));
  return [
    checkListen(info),
    checkNat(info),
    ...checkPorts(info),
    ...ways.flat().filter((one) => one !== undefined),
    ...checkUdp(info),
  ];
}

function checkListen({ listenAddresses }: NodeInfo): Finding {
  const outside = listenAddresses.filter((one) => !/^\/ip4\/127\.|^\/ip6\/::1\//.test(one));
  if (listenAddresses.length === 0) {
    return fault(
      "addresses",
      "nobody can dial this node",
      "listen somewhere (--listen), or use a relay (--relay)",
    );
  }
  if (outside.length > 0) return ok("addresses", outside.join(", "));
  return note(
    "addresses",
    "only this machine can dial this node",
    "listen on /ip4/0.0.0.0/tcp/0, or use a relay (--relay)",
  );
}

function checkPorts({ portMapping, nat, relays = [] }: NodeInfo): Finding[] {
  const { state, gateway = "", reason = "", addresses = [] } = portMapping ?? {};
  switch (state) {
    case "mapped":
      return [ok("port mapping", `${gateway} opened ${addresses.join(", ")}`)];
    case "failed":
      return [
        note(
          "port mapping",
          `${gateway} opened nothing: ${reason}`,
          "forward a port by hand, or use a relay",
        ),
      ];
    case "none":
      return nat === "public" || relays.length > 0 ? [] : [
        note(
          "port mapping",
          "no router answers",
          "switch on UPnP or NAT-PMP there, or use a relay (--relay)",
        ),
      ];
    default:
      return [];
  }
}

function checkNat(info: NodeInfo): Finding {
  const { nat, portMapping, relays = [] } = info;
  const relayed = portMapping?.state === "mapped" || relays.some(({ state }) => state === "reserved");
  if (nat === "public") return ok("NAT", describeNat(info));
  if (nat !== "private") {
    return relayed
      ? ok("NAT", "not known yet; others reach this node through its relay or its router")
      : note("NAT", "not known yet", "connect to a peer, or use a relay (--relay)");
  }
  const found = `this node is behind a NAT or a firewall; ${describeNat(info)}`;
  return relayed
    ? ok("NAT", found)
    : fault("NAT", found, "use a relay (--relay), else nobody outside reaches this node");
}

type Relay = NonNullable<NodeInfo["relays"]>[number];

function checkRelay({ peerId, state, reason, roundTripMs }: Relay): Finding {
  const name = `relay ${peerId}`;
  switch (state) {
    case "reserved":
      return ok(
        name,
        roundTripMs === undefined ? "reserved" : `reserved, round trip ${roundTripMs.toFixed(1)} ms`,
      );
    case "refused":
      return fault(name, reason || "it gives no place", "use another relay, or ask its operator");
    default:
      return fault(
        name,
        reason || "it cannot be reached",
        "see that it runs and that its address is right; it is tried again",
      );
  }
}

/** Whether a plain TCP connection to the relay goes, to tell a network fault from one of the relay. */
async function checkTcp({ peerId, address }: Relay): Promise<Finding | undefined> {
  const [, hostname, port] = /^\/(?:ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d+)/.exec(address ?? "") ?? [];
  if (hostname === undefined || port === undefined) return undefined;
  const name = `TCP to relay ${peerId.slice(-6)}`;
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), CONNECT_TIMEOUT_MS);
  try {
    const connecting = Deno.connect({ hostname, port: Number(port) });
    const connection = await Promise.race([connecting, late]);
    if (connection === undefined) {
      connecting.then((conn) => conn.close(), () => {
        // It failed later than anybody waited.
      });
      return fault(
        name,
        `no answer from ${hostname}:${port}`,
        "a firewall drops it, or the relay's machine is down",
      );
    }
    connection.close();
    return ok(name, `${hostname}:${port} answers`);
  } catch (error) {
    return fault(
      name,
      `${hostname}:${port}: ${errorMessage(error)}`,
      "see that the relay runs and that its port is right",
    );
  } finally {
    clearTimeout(timer);
  }
}

function checkUdp({ relays = [], observedAddresses = [] }: NodeInfo): Finding[] {
  if (relays.length === 0) return [];
  if (observedAddresses.length > 0) {
    return [ok("UDP", `relays see this node at ${observedAddresses.join(", ")}`)];
  }
  return [
    note(
      "UDP",
      "no relay is reached over QUIC",
      "a firewall may block UDP; connections through NATs then stay relayed",
    ),
  ];
}

function checkProxy({ network }: Config): Finding {
  const names = PROXY_NAMES.filter((name) => (Deno.env.get(name) ?? "") !== "");
  if (network.proxy !== undefined) return ok("proxy", "peers are dialed through the configured proxy alone");
  if (names.length === 0) return ok("proxy", "none");
  return note(
    "proxy",
    `${names.join(", ")} is set, and peers are dialed without it`,
    "where only the proxy leads out, set network.proxy to it",
  );
}

function describe(findings: readonly Finding[], output: Output): string[] {
  const marks = {
    ok: output.style("green", "ok   "),
    note: output.style("yellow", "note "),
    fault: output.style("red", "FAULT"),
  };
  return findings.flatMap(({ check, state, found, advice }) => [
    `${marks[state]} ${check}: ${found}`,
    ...advice === undefined ? [] : [`      ${advice}`],
  ]);
}

async function statOf(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

const ok = (check: string, found: string): Finding => ({ check, state: "ok", found });
const note = (check: string, found: string, advice: string): Finding => ({
  check,
  state: "note",
  found,
  advice,
});
const fault = (check: string, found: string, advice: string): Finding => ({
  check,
  state: "fault",
  found,
  advice,
});
