import { deepEqual, equal, rejects } from "node:assert/strict";
import { openSessionWith } from "../../cli/session.ts";
import { type Config, resolveConfig } from "../../core/config.ts";
import { CodedError } from "../../core/errors.ts";
import { silentLogger } from "../../core/log.ts";

const CONFIG = resolveConfig({
  flags: { home: "/h", "bootstrap-peers": "/b" },
  env: {},
  userHome: "/",
  readFile: () => undefined,
});
const BUSY = new CodedError("aborted", "the store is in use", {
  details: { directory: "/h/data" },
});

/** Daemons that answer at addresses and can be started; what happens is kept in `events`. */
function createFakes(options: { answering?: string[]; startErrors?: unknown[] } = {}) {
  const events: string[] = [];
  const answering = new Set(options.answering ?? []);
  const startErrors = [...options.startErrors ?? []];
  const configs: Config[] = [];
  let nowMs = 0;
  const disposable = <T extends object>(name: string, value: T): T & AsyncDisposable =>
    Object.assign(value, {
      [Symbol.asyncDispose]: () => {
        events.push(`end ${name}`);
        return Promise.resolve();
      },
    });
  return {
    events,
    configs,
    answering,
    deps: {
      attach: (address: string) => {
        events.push(`attach ${address}`);
        return Promise.resolve(answering.has(address) ? disposable("client", { address }) : undefined);
      },
      start: (config: Config) => {
        configs.push(config);
        const error = startErrors.shift();
        if (error !== undefined) return Promise.reject(error);
        answering.add(config.grpcListen);
        return Promise.resolve(disposable("daemon", { grpcAddress: config.grpcListen }));
      },
      clock: {
        now: () => nowMs,
        sleep: (delayMs: number) => {
          nowMs += delayMs;
          return Promise.resolve();
        },
      },
    },
  };
}

const options = () => ({ logger: silentLogger, signal: new AbortController().signal });

Deno.test("openSession() uses the daemon that runs on the home and leaves it running", async () => {
  const { deps, events, configs } = createFakes({ answering: [CONFIG.grpcListen] });
  {
    await using session = await openSessionWith(deps, CONFIG, options());
    equal(session.isOwn, false);
    equal(session.address, CONFIG.grpcListen);
  }
  deepEqual(configs, []);
  deepEqual(events, [`attach ${CONFIG.grpcListen}`, "end client"]);
});

Deno.test("openSession() starts a daemon at an address of its own when none runs, and ends it", async () => {
  const { deps, events, configs } = createFakes();
  {
    await using session = await openSessionWith(deps, CONFIG, options());
    equal(session.isOwn, true);
    equal(session.address, "unix:///h/call.sock");
  }
  const anycast = { ...CONFIG.anycast, autoRegister: false };
  deepEqual(configs, [{ ...CONFIG, anycast, grpcListen: "unix:///h/call.sock" }]);
  deepEqual(events.slice(-2), ["end client", "end daemon"]);
});

Deno.test("openSession() keeps an own daemon off the network when it is not needed", async () => {
  const { deps, configs } = createFakes();
  await using _session = await openSessionWith(deps, CONFIG, { ...options(), network: false });
  deepEqual([configs[0]?.listenAddrs, configs[0]?.bootstrapPeers, configs[0]?.enableMdns], [[], [], false]);
});

Deno.test("openSession() waits for a daemon that is about to answer", async () => {
  const { deps, answering } = createFakes({ startErrors: [BUSY] });
  const start: typeof deps.start = (config) => {
    answering.add(CONFIG.grpcListen);
    return deps.start(config);
  };
  await using session = await openSessionWith({ ...deps, start }, CONFIG, options());
  equal(session.isOwn, false);
});

Deno.test("openSession() takes its turn when another call uses the home", async () => {
  const { deps, configs } = createFakes({ startErrors: [BUSY, BUSY] });
  await using session = await openSessionWith(deps, CONFIG, options());
  equal(session.isOwn, true);
  equal(configs.length, 3);
});

Deno.test("openSession() gives up on a home that stays in use, after ten seconds", async () => {
  const { deps } = createFakes({ startErrors: Array(1_000).fill(BUSY) });
  await rejects(openSessionWith(deps, CONFIG, options()), BUSY);
  equal(deps.clock.now(), 10_000);
});

Deno.test("openSession() throws at once what else goes wrong", async () => {
  const loose = new CodedError("failed_precondition", "the key is open to others", {
    details: { path: "/h/key" },
  });
  const { deps, configs } = createFakes({ startErrors: [loose] });
  await rejects(openSessionWith(deps, CONFIG, options()), loose);
  equal(configs.length, 1);
});

Deno.test("openSession() ends the daemon it started when that does not answer", async () => {
  const { deps, events } = createFakes();
  await rejects(
    openSessionWith({ ...deps, attach: () => Promise.resolve(undefined) }, CONFIG, options()),
    (error) => error instanceof CodedError && error.code === "internal",
  );
  deepEqual(events, ["end daemon"]);
});
