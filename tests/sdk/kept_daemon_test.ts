import assert from "node:assert/strict";
import type { RunningDaemon } from "../../sdk/daemon_process.ts";
import { type AgentAnycastError, DaemonNotFoundError, DaemonStartError } from "../../sdk/mod.ts";
import { KeptDaemon } from "../../sdk/kept_daemon.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { Changes } from "../support/patience.ts";

/** A daemon of the test: started here, unless it was joined. */
class TestDaemon implements RunningDaemon {
  readonly address = "unix:///nowhere";
  readonly ended?: Promise<string>;
  stopped = false;
  left = false;
  die: (how: string) => void = () => {};

  constructor({ isJoined = false } = {}) {
    if (!isJoined) this.ended = new Promise((resolve) => this.die = resolve);
  }

  readonly stop = () => {
    this.stopped = true;
    return Promise.resolve();
  };
  readonly leave = () => {
    this.left = true;
    return Promise.resolve();
  };
}

class Rig {
  readonly clock = new FakeClock();
  readonly told: string[] = [];
  readonly started: TestDaemon[] = [];
  startError: Error | undefined;
  isThere = false;
  readonly #changes = new Changes();

  keep(daemon: TestDaemon, limitMs = 30_000): KeptDaemon {
    return new KeptDaemon(daemon, {
      clock: this.clock,
      open: () => {
        if (this.startError !== undefined) {
          this.#tell("not started");
          return Promise.reject(this.startError);
        }
        const started = new TestDaemon();
        this.started.push(started);
        return Promise.resolve(started);
      },
      isThere: () => {
        this.#tell("asked");
        return Promise.resolve(this.isThere);
      },
      onGone: (how) => this.#tell(`gone: ${how}`),
      onBack: () => this.#tell("back"),
      onFailure: (error: AgentAnycastError) => this.#tell(`${error.name}: ${error.message}`),
    }, { limitMs });
  }

  /** Lets time pass, and happen what it brings. */
  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }

  #tell(what: string): void {
    this.told.push(what);
    this.#changes.tell();
  }

  until(condition: () => boolean): Promise<void> {
    return this.#changes.until(condition);
  }

  async untilTold(what: string, times = 1): Promise<void> {
    await this.#changes.until(
      () => this.told.filter((one) => one.startsWith(what)).length >= times,
      `${what}, ${times} times,`,
    );
  }
}

Deno.test("KeptDaemon starts a daemon again that has died, and stops the last one", async () => {
  const rig = new Rig();
  const first = new TestDaemon();
  const kept = rig.keep(first);
  first.die("ended by SIGKILL");
  await rig.untilTold("back");
  assert.deepEqual(rig.told, ["gone: ended by SIGKILL", "back"]);
  await kept.stop();
  assert.equal(rig.started[0]?.stopped, true);
  assert.equal(first.stopped, false);
});

Deno.test("KeptDaemon.stop() leaves a daemon that others share", async () => {
  const daemon = new TestDaemon();
  await new Rig().keep(daemon).stop({ isShared: true });
  assert.deepEqual([daemon.stopped, daemon.left], [false, true]);
});

Deno.test("KeptDaemon replaces a daemon it has joined only when that does not answer any more", async () => {
  const rig = new Rig();
  const kept = rig.keep(new TestDaemon({ isJoined: true }));
  rig.isThere = true;
  kept.connectionLost();
  await rig.untilTold("asked");
  rig.isThere = false;
  kept.connectionLost();
  await rig.untilTold("back");
  assert.deepEqual(rig.told, ["asked", "asked", "gone: it does not answer any more", "back"]);
  await kept.stop();
});

Deno.test("KeptDaemon tries again for its time, and then tells why there is no daemon", async () => {
  const rig = new Rig();
  rig.startError = new DaemonNotFoundError("No program");
  const first = new TestDaemon();
  const kept = rig.keep(first, 1_000);
  first.die("exit code 1");
  await rig.untilTold("not started");
  while (!rig.told.at(-1)?.startsWith("Daemon")) await rig.pass(100);
  assert.ok(rig.told.filter((one) => one === "not started").length > 2);
  assert.equal(
    rig.told.at(-1),
    "DaemonStartError: The daemon is gone (exit code 1) and could not be started again: No program",
  );
  await kept.stop();
});

Deno.test("KeptDaemon starts a daemon that keeps dying after longer and longer pauses, and at last no more", async () => {
  const rig = new Rig();
  const first = new TestDaemon();
  const kept = rig.keep(first);
  const atMs: number[] = [];
  first.die("exit code 9");
  for (let i = 1; i <= 10; i++) {
    while (rig.started.length < i) await rig.pass(50);
    await rig.untilTold("back", i);
    atMs.push(rig.clock.now());
    rig.started[i - 1]?.die("exit code 9");
  }
  await rig.untilTold(DaemonStartError.name);
  const pauses = atMs.slice(1).map((ms, i) => ms - (atMs[i] ?? 0));
  assert.deepEqual(pauses, [...pauses].sort((a, b) => a - b));
  assert.ok((pauses.at(-1) ?? 0) <= 10_000 + 50);
  assert.match(rig.told.at(-1) ?? "", /has ended 11 times in a row \(exit code 9\)/);
  await kept.stop();
});

Deno.test("KeptDaemon takes a daemon that has lasted as a new beginning", async () => {
  const rig = new Rig();
  const first = new TestDaemon();
  const kept = rig.keep(first);
  first.die("x");
  for (let i = 1; i <= 20; i++) {
    await rig.untilTold("back", i);
    await rig.pass(10_000);
    rig.started[i - 1]?.die("x");
  }
  await rig.untilTold("back", 21);
  await kept.stop();
});
