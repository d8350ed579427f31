import assert from "node:assert/strict";
import { KeptNode, type KeptNodeDeps } from "../../cli/kept_node.ts";
import { resolveConfig } from "../../core/config.ts";
import { CodedError } from "../../core/errors.ts";
import { silentLogger } from "../../core/log.ts";
import type { Node } from "../../sdk/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

const CONFIG = resolveConfig({ flags: { home: "/h" }, env: {}, userHome: "/", readFile: () => undefined });

/** Daemons that are there or not as the test says. */
class FakeHome {
  isAnswered = false;
  started = 0;
  stopped = 0;
  /** How often another process has the home when one is to be started. */
  busy = 0;
  readonly clock = new FakeClock();
  readonly deps: KeptNodeDeps = {
    isAnswered: () => Promise.resolve(this.isAnswered),
    startDaemon: () => {
      if (this.busy-- > 0) return Promise.reject(new CodedError("aborted", "in use"));
      this.started++;
      this.isAnswered = true;
      return Promise.resolve({
        [Symbol.asyncDispose]: () => {
          this.stopped++;
          return Promise.resolve();
        },
      });
    },
    openNode: () => Promise.resolve({ stop: () => Promise.resolve() } as Node),
    clock: this.clock,
  };
}

/** Lets others run. */
const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

/** Moves the time once somebody sleeps. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  while (clock.sleeping === 0) await settle();
  clock.advance(ms);
  await settle();
}

Deno.test("KeptNode joins the daemon that runs, and leaves it running", async () => {
  const home = new FakeHome();
  home.isAnswered = true;
  const kept = new KeptNode(CONFIG, silentLogger, home.deps);
  await kept.node();
  await kept[Symbol.asyncDispose]();
  assert.deepEqual([home.started, home.stopped], [0, 0]);
});

Deno.test("KeptNode runs a daemon of its own where there is none, and stops it", async () => {
  const home = new FakeHome();
  const kept = new KeptNode(CONFIG, silentLogger, home.deps);
  const [one, other] = await Promise.all([kept.node(), kept.node()]);
  assert.equal(one, other);
  await kept[Symbol.asyncDispose]();
  assert.deepEqual([home.started, home.stopped], [1, 1]);
});

Deno.test("KeptNode takes over when the daemon it has joined ends", async () => {
  const home = new FakeHome();
  home.isAnswered = true;
  const kept = new KeptNode(CONFIG, silentLogger, home.deps);
  const node = await kept.node();
  home.isAnswered = false;
  await pass(home.clock, 2_000);
  assert.equal(home.started, 1);
  assert.equal(await kept.node(), node, "the node finds the new daemon at the same address");
  await kept[Symbol.asyncDispose]();
  assert.equal(home.stopped, 1);
});

Deno.test("KeptNode waits for a home that another process is starting on", async () => {
  const home = new FakeHome();
  home.busy = 2;
  const kept = new KeptNode(CONFIG, silentLogger, home.deps);
  const node = kept.node();
  await pass(home.clock, 200);
  await pass(home.clock, 200);
  await node;
  assert.equal(home.started, 1);
  await kept[Symbol.asyncDispose]();
});

Deno.test("KeptNode tells why there is no daemon, and tries anew with the next call", async () => {
  const home = new FakeHome();
  const { startDaemon } = home.deps;
  let isBroken = true;
  const deps: KeptNodeDeps = {
    ...home.deps,
    startDaemon: (...args) =>
      isBroken ? Promise.reject(new CodedError("permission_denied", "not yours")) : startDaemon(...args),
  };
  const kept = new KeptNode(CONFIG, silentLogger, deps);
  await assert.rejects(kept.node(), /not yours/);
  isBroken = false;
  await kept.node();
  await kept[Symbol.asyncDispose]();
  await assert.rejects(kept.node(), /ending/);
});
