import { join } from "node:path";
import { DaemonStartError } from "./errors.ts";

/** How long a home is left to the daemon that another program starts there, before it is tried again; longer each time. */
const RELAUNCH_MS = 1_000;
const MAX_RELAUNCH_MS = 4_000;
/** How often is told that a daemon is still waited for. */
const WAIT_NEWS_MS = 5_000;

/** A process that was started as a daemon. */
export interface DaemonChild {
  readonly pid: number | undefined;
  /** Why it ended; undefined while it runs. */
  readonly ended: string | undefined;
  /** The same when it has. */
  readonly exited: Promise<string>;
  /** Whether it ended because another daemon has the home. */
  readonly lostHome: boolean;
  /** The last lines it has logged. */
  logTail(): string;
  stop(): Promise<void>;
  leave(): Promise<void>;
}

/** What a start is bound by. */
export interface DaemonStartOptions {
  readonly home: string;
  /** How long the daemon may take to answer. */
  readonly startTimeoutMs: number;
  /** Told every few seconds, for people, that the daemon does not answer yet. */
  readonly onWait?: (message: string) => void;
}

/** A daemon that was launched and does not answer yet; launched again when another one has its home, which may be about to stop. */
export class DaemonStart {
  child: DaemonChild;
  readonly #options: DaemonStartOptions;
  readonly #launch: () => DaemonChild;
  readonly #beganAtMs: number;
  #toldAtMs: number;
  /** Since when another process is known to have the home. */
  #takenAtMs: number | undefined;
  #relaunchAtMs: number | undefined;
  #relaunchMs = RELAUNCH_MS;

  constructor(launch: () => DaemonChild, options: DaemonStartOptions, nowMs: number) {
    this.#launch = launch;
    this.#options = options;
    this.#beganAtMs = this.#toldAtMs = nowMs;
    this.child = launch();
  }

  /** Throws `DaemonStartError` at once when the daemon has ended, or when the time for it is over. */
  check(nowMs: number): void {
    if (this.child.ended !== undefined) this.#whenEnded(nowMs);
    const { child } = this;
    const { home, startTimeoutMs, onWait } = this.#options;
    // Who has the home is past most of its own start, or will never answer.
    if (child.lostHome && nowMs - (this.#takenAtMs ?? nowMs) > startTimeoutMs / 2) {
      throw takenError(home, child.logTail());
    }
    if (nowMs - this.#beganAtMs > startTimeoutMs) {
      throw new DaemonStartError(
        `The daemon does not answer after ${startTimeoutMs} ms: set startTimeoutMs when this machine takes longer. ` +
          `Its logs are in ${join(home, "logs")}\n${child.logTail()}`,
      );
    }
    if (nowMs - this.#toldAtMs < WAIT_NEWS_MS) return;
    this.#toldAtMs = nowMs;
    const who = child.lostHome ? `Another process has the home ${home} and` : "The daemon";
    onWait?.(`${who} does not answer yet, after ${Math.round((nowMs - this.#beganAtMs) / 1_000)} s`);
  }

  /** Another program has started one, which is joined when it answers; unless that one is about to stop. */
  #whenEnded(nowMs: number): void {
    const { ended, lostHome, logTail } = this.child;
    if (!lostHome) throw new DaemonStartError(`The daemon did not start: ${ended}\n${logTail()}`);
    this.#takenAtMs ??= nowMs;
    this.#relaunchAtMs ??= nowMs + this.#relaunchMs;
    if (nowMs < this.#relaunchAtMs) return;
    this.child = this.#launch();
    this.#relaunchAtMs = undefined;
    this.#relaunchMs = Math.min(this.#relaunchMs * 2, MAX_RELAUNCH_MS);
  }
}

function takenError(home: string, logTail: string): DaemonStartError {
  return new DaemonStartError(
    `Cannot start a daemon in ${home}, nor join one: another process has this home and answers nobody, as a program with an ` +
      `embedded node in it does. Stop that one, or use a home of its own\n${logTail}`,
  );
}
