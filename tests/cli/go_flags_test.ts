import { deepEqual, equal, throws } from "node:assert/strict";
import { createCommandLine } from "../../cli/command_line.ts";
import { normalizeGoFlags } from "../../cli/go_flags.ts";
import { daemonFlags, toConfig } from "../../cli/settings.ts";
import { VERBS } from "../../cli/verbs.ts";
import type { Config } from "../../core/config.ts";
import { CodedError } from "../../core/errors.ts";

const FLAGS = new Map([["key", "value"], ["log-level", "value"], ["mcp", "switch"]] as const);

const CASES: readonly (readonly [argv: readonly string[], normalized: readonly string[]])[] = [
  [["-key=a", "--log-level=debug"], ["--key=a", "--log-level=debug"]],
  [["-key", "a", "--log-level", "debug"], ["--key=a", "--log-level=debug"]],
  [["-key", "-a"], ["--key=-a"]],
  [["-key=a=b"], ["--key=a=b"]],
  [["-key="], ["--key="]],
  [["-key=a\nb"], ["--key=a\nb"]],
  [["-mcp", "-key=a"], ["--mcp", "--key=a"]],
  [["-mcp=true"], ["--mcp"]],
  [["--mcp=false"], ["--mcp=false"]],
  [["-key"], ["--key"]],
  [["-v", "-unknown", "plain"], ["-v", "-unknown", "plain"]],
  [["--", "-key", "a"], ["--", "-key", "a"]],
  [[], []],
];
for (const [argv, normalized] of CASES) {
  Deno.test(`normalizeGoFlags() makes ${JSON.stringify(normalized)} of ${JSON.stringify(argv)}`, () => {
    deepEqual(normalizeGoFlags(argv, FLAGS), normalized);
  });
}

/** The configuration of a daemon called with `argv`. */
async function configOf(argv: readonly string[]): Promise<Config> {
  const found: Config[] = [];
  const commandLine = createCommandLine({
    name: "agentanycastd",
    verbs: VERBS,
    onVerb: (_verb, { options }) => {
      found.push(toConfig(options));
      return Promise.resolve();
    },
    writeOut: () => {},
    writeError: () => {},
  });
  await commandLine.parseAsync(["daemon", ...normalizeGoFlags(argv, daemonFlags())], { from: "user" });
  return found[0]!;
}

/** What the SDKs of the existing network and their tests start a daemon with. */
const RECORDED = [
  [
    "--key=/h/key",
    "--grpc-listen=unix:///h/daemon.sock",
    "--log-level=info",
    "--bootstrap-peers=/ip4/192.0.2.7/tcp/4001/p2p/X",
    "--transport=auto",
    "--namespace=team",
  ],
  [
    "-key",
    "/h/key",
    "-grpc-listen",
    "unix:///h/daemon.sock",
    "-log-level",
    "info",
    "-bootstrap-peers",
    "/ip4/192.0.2.7/tcp/4001/p2p/X",
  ],
  [
    "--grpc-listen",
    "unix:///h/daemon.sock",
    "--key",
    "/h/key",
    "--log-level",
    "info",
    "--bootstrap-peers",
    "/ip4/192.0.2.7/tcp/4001/p2p/X",
  ],
];
for (const argv of RECORDED) {
  Deno.test(`daemon() understands ${argv.join(" ")}`, async () => {
    const config = await configOf(argv);
    equal(config.keyPath, "/h/key");
    equal(config.grpcListen, "unix:///h/daemon.sock");
    equal(config.logLevel, "info");
    deepEqual(config.bootstrapPeers, ["/ip4/192.0.2.7/tcp/4001/p2p/X"]);
  });
}

Deno.test("toConfig() adds relays to the bootstrap peers and gathers lists", async () => {
  const config = await configOf([
    ...["--listen", "/ip4/127.0.0.1/tcp/1", "--listen=/ip4/127.0.0.1/tcp/2,/ip4/127.0.0.1/tcp/3"],
    ...["--bootstrap-peers=/a", "--relay", "/r1", "--relay=/r2"],
  ]);
  deepEqual(config.listenAddrs, ["/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2", "/ip4/127.0.0.1/tcp/3"]);
  deepEqual(config.bootstrapPeers, ["/a", "/r1", "/r2"]);
});

Deno.test("toConfig() turns mDNS off and on by either flag", async () => {
  equal((await configOf(["--no-mdns"])).enableMdns, false);
  equal((await configOf(["-no-mdns"])).enableMdns, false);
  equal((await configOf(["--enable-mdns=false"])).enableMdns, false);
  equal((await configOf(["--enable-mdns"])).enableMdns, true);
});

Deno.test("toConfig() makes the log level debug when verbose, unless one is given", async () => {
  equal((await configOf(["-v"])).logLevel, "debug");
  equal((await configOf(["-v", "--log-level=error"])).logLevel, "error");
});

Deno.test("toConfig() names the flag when a value cannot be used", () => {
  throws(
    () => toConfig({ home: "" }),
    (error) =>
      error instanceof CodedError && error.code === "invalid_argument" && /--home/.test(error.message),
  );
});
