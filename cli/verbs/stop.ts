import process from "node:process";
import { systemClock } from "../../core/clock.ts";
import { CodedError } from "../../core/errors.ts";
import { isAnswered } from "../endpoint.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { findDaemon } from "../session.ts";
import type { VerbContext } from "../verb.ts";

const STOP_LIMIT_MS = 10_000;
const POLL_MS = 50;

/** Stops the daemon that runs on the home, and waits until it is gone. */
export async function run({ output, signal, loadConfig }: VerbContext): Promise<number> {
  const { home, grpcListen } = loadConfig();
  const pid = await askToStop(grpcListen);
  if (pid === undefined) {
    output.result({ stopped: false, home }, () => [`No daemon runs on ${home}.`]);
    return EXIT_OK;
  }
  const giveUpAtMs = systemClock.now() + STOP_LIMIT_MS;
  while (await isAnswered(grpcListen) || isAlive(pid)) {
    if (systemClock.now() >= giveUpAtMs) {
      throw new CodedError(
        "deadline_exceeded",
        `The daemon on ${home} (process ${pid}) has not stopped within ${
          STOP_LIMIT_MS / 1000
        } s: see its log, or end it`,
      );
    }
    await systemClock.sleep(POLL_MS, signal);
  }
  output.result({ stopped: true, home, pid }, () => [`The daemon on ${home} has stopped.`]);
  return EXIT_OK;
}

/** The process id of the daemon that has been asked, 0 when it does not tell; undefined when none runs. */
async function askToStop(address: string): Promise<number | undefined> {
  await using session = await findDaemon(address);
  if (session === undefined) return undefined;
  const { pid = 0 } = await session.node.info();
  await session.node.stopDaemon();
  return pid;
}

/** Whether the process goes on: after the socket it closes connections and store. */
function isAlive(pid: number): boolean {
  if (pid === 0 || pid === Deno.pid) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
