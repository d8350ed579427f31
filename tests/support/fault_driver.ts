import { checkHistory, type FaultVerdict, isSound } from "./fault_checker.ts";
import type { Fault, FaultHistory } from "./fault_history.ts";
import type { FaultNet } from "./fault_net.ts";
import type { FaultProcess } from "./fault_process.ts";
import { createFaultRandom, type FaultRandom } from "./fault_random.ts";
import type { LinkMode } from "./tcp_proxy.ts";

export interface FaultDriveOptions {
  /** How long faults are made. */
  readonly faultsMs: number;
  readonly seed: number;
  /** How long everything may take to settle when they are over. */
  readonly settleMs: number;
  /** Told each fault as it is made. */
  readonly onFault?: (fault: Fault) => void;
}

/** What was done and what came of it. */
export interface FaultResult {
  readonly verdict: FaultVerdict;
  readonly kills: number;
  readonly agentKills: number;
  /** Times the link was cut, half open, stalled or cut in the middle of a frame. */
  readonly cuts: number;
  readonly stops: number;
  readonly settledMs: number;
  /** What spoils the run itself: forbidden connections, unused proxies, a sender that did not come to its end. */
  readonly problems: readonly string[];
  readonly forwardedBytes: number;
  /** Connections past the proxies, which link faults do not reach; a problem where they are forbidden. */
  readonly strays: number;
  readonly history: FaultHistory;
}

const PROCESS_FAULTS = [
  "kill receiver daemon",
  "kill agent",
  "kill sender daemon",
  "kill sender",
  "kill both daemons",
  "kill agent",
  "stop receiver daemon",
  "stop sender daemon",
] as const;
const LINK_FAULTS = ["cut", "half_open", "stall", "truncate", "delay", "throttle", "cut"] as const;
const CHECK_EVERY_MS = 1_000;
/** What does not change for this long after the sender's end is not waited for. */
const STUCK_MS = 20_000;

const sleep = (delayMs: number) => new Promise<void>((resolve) => setTimeout(resolve, delayMs));

/** Makes faults for a while, lets everything settle without any help, and judges what is left. */
export async function driveFaults(net: FaultNet, options: FaultDriveOptions): Promise<FaultResult> {
  const driver = new FaultDriver(net, options);
  await driver.makeFaults();
  return await driver.settle();
}

class FaultDriver {
  readonly #net: FaultNet;
  readonly #options: FaultDriveOptions;
  readonly #faults: Fault[] = [];
  readonly #problems = new Set<string>();
  readonly #strays = new Set<string>();

  constructor(net: FaultNet, options: FaultDriveOptions) {
    this.#net = net;
    this.#options = options;
  }

  /** Two lines of faults side by side: what happens to processes, and what happens to the links between them. */
  async makeFaults(): Promise<void> {
    const { faultsMs, seed } = this.#options;
    const endMs = Date.now() + faultsMs;
    const lane = async (laneSeed: number, make: (random: FaultRandom) => () => Promise<void>) => {
      const random = createFaultRandom(laneSeed);
      const next = make(random);
      for (;;) {
        const pauseMs = random.between(200, 1_200);
        if (Date.now() + pauseMs >= endMs) return await sleep(Math.max(0, endMs - Date.now()));
        await sleep(pauseMs);
        await next();
        for (const stray of await this.#net.strayConnections()) {
          this.#strays.add(stray);
          if (this.#net.forbidsStrays) this.#problems.add(`a connection past the proxies: ${stray}`);
        }
      }
    };
    await Promise.all([
      lane(seed, (random) => this.#processFaults(random)),
      lane(seed + 1, (random) => this.#linkFaults(random)),
    ]);
    for (const link of this.#net.links) link.setMode({ kind: "pass" });
  }

  #processFaults(random: FaultRandom): () => Promise<void> {
    const next = shuffledTurns(random, PROCESS_FAULTS);
    const { senderDaemon, receiverDaemon, sender, agent } = this.#net;
    return async () => {
      const downMs = random.between(0, 800);
      switch (next()) {
        case "kill receiver daemon":
          return await this.#kill([receiverDaemon], downMs);
        case "kill sender daemon":
          return await this.#kill([senderDaemon], downMs);
        case "kill both daemons":
          return await this.#kill([senderDaemon, receiverDaemon], downMs);
        case "kill agent":
          return await this.#kill([agent], downMs);
        case "kill sender":
          return await this.#kill([sender], downMs);
        case "stop receiver daemon":
          return await this.#stop(receiverDaemon, random.between(300, 2_500));
        case "stop sender daemon":
          return await this.#stop(senderDaemon, random.between(300, 2_500));
      }
    };
  }

  async #kill(targets: readonly FaultProcess[], downMs: number): Promise<void> {
    for (const target of targets) {
      const pid = await target.kill();
      // The time at which it is certainly gone: what it wrote, it wrote before.
      this.#note({ kind: "kill", target: target.name, atMs: Date.now(), ...(pid !== undefined && { pid }) });
    }
    await sleep(downMs);
    await Promise.all(targets.map((target) => target.start()));
  }

  async #stop(target: FaultProcess, forMs: number): Promise<void> {
    const { pid } = target;
    const atMs = Date.now();
    target.signal("SIGSTOP");
    await sleep(forMs);
    target.signal("SIGCONT");
    this.#note({
      kind: "stop",
      target: target.name,
      atMs,
      untilMs: Date.now(),
      ...(pid !== undefined && { pid }),
    });
  }

  #linkFaults(random: FaultRandom): () => Promise<void> {
    const next = shuffledTurns(random, LINK_FAULTS);
    return async () => {
      const kind = next();
      const mode = linkMode(kind, random);
      const links = random.next() < 0.6 ? this.#net.links : [random.pick(this.#net.links)];
      const atMs = Date.now();
      for (const link of links) link.setMode(mode);
      await sleep(random.between(200, 2_000));
      for (const link of links) link.setMode({ kind: "pass" });
      const target = links.length > 1 ? "both links" : links[0] === this.#net.links[0] ? "link" : "way back";
      this.#note({ kind, target, atMs, untilMs: Date.now() });
    };
  }

  #note(fault: Fault): void {
    this.#faults.push(fault);
    this.#options.onFault?.(fault);
  }

  /** Waits until the sender has seen the end of all its tasks and both sides agree, or the time is up; then judges. */
  async settle(): Promise<FaultResult> {
    const beganMs = Date.now();
    const { settleMs } = this.#options;
    try {
      await this.#net.sender.finish(settleMs);
    } catch (error) {
      this.#problems.add(error instanceof Error ? error.message : String(error));
    }
    let [last, lastChangeMs] = ["", Date.now()];
    for (;;) {
      const history = { ...await this.#net.journals(), ...await this.#net.views(), faults: this.#faults };
      const verdict = checkHistory(history);
      const settledMs = Date.now() - beganMs;
      const now = JSON.stringify(verdict);
      if (now !== last) [last, lastChangeMs] = [now, Date.now()];
      const isStuck = Date.now() - lastChangeMs > STUCK_MS;
      if (isSound(verdict) || isStuck || settledMs > settleMs) {
        return this.#result({ history, verdict, settledMs });
      }
      await sleep(CHECK_EVERY_MS);
    }
  }

  #result(known: Pick<FaultResult, "history" | "verdict" | "settledMs">): FaultResult {
    const count = (...kinds: string[]) => this.#faults.filter(({ kind }) => kinds.includes(kind)).length;
    const forwardedBytes = this.#net.links.reduce(
      (sum, { counts }) => sum + counts.bytesIn + counts.bytesOut,
      0,
    );
    if (forwardedBytes === 0) this.#problems.add("no byte went through the proxies");
    return {
      ...known,
      kills: count("kill"),
      agentKills: this.#faults.filter(({ kind, target }) => kind === "kill" && target === "agent").length,
      cuts: count("cut", "half_open", "stall", "truncate"),
      stops: count("stop"),
      problems: [...this.#problems],
      forwardedBytes,
      strays: this.#strays.size,
    };
  }
}

/** Draws each of `choices` once in random order, then all again: a short run meets every kind. */
function shuffledTurns<T>(random: FaultRandom, choices: readonly T[]): () => T {
  let left: T[] = [];
  return () => {
    if (left.length === 0) left = [...choices];
    const choice = random.pick(left);
    left.splice(left.indexOf(choice), 1);
    return choice;
  };
}

function linkMode(kind: typeof LINK_FAULTS[number], random: FaultRandom): LinkMode {
  switch (kind) {
    case "truncate":
      return { kind, afterBytes: random.between(1, 20_000) };
    case "delay":
      return { kind, delayMs: random.between(5, 150), jitterMs: random.between(0, 100) };
    case "throttle":
      return { kind, bytesPerSecond: random.between(2_000, 100_000) };
    default:
      return { kind };
  }
}
