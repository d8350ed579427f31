import { connect } from "@nats-io/transport-node";
import { RunningProgram } from "../tests/support/program.ts";
import type { Contender } from "./contender.ts";
import { makeHome, startHelper } from "./programs.ts";

const SERVER = "nats-server";
const POLL_MS = 20;
const START_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;

/** What to do before {@link startNats}, or undefined. */
export async function missingNats(): Promise<string | undefined> {
  try {
    await new Deno.Command(SERVER, { args: ["--version"], stdout: "null", stderr: "null" }).output();
    return undefined;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return `${SERVER} is not on the PATH: install it (Debian: apt-get install nats-server, which puts it into /usr/sbin)`;
  }
}

/** Request and reply through a NATS server: three processes, two hops each way, nothing is encrypted or stored. */
export async function startNats(): Promise<Contender> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await makeHome());
  const args = ["--addr", "127.0.0.1", "--port", "-1", "--ports_file_dir", folder.path];
  const server = stack.use(new RunningProgram([SERVER, ...args]));
  const url = await findUrl(folder.path);
  const echo = stack.use(await startHelper("nats_echo.ts", [url]));
  const connection = await connect({ servers: url });
  stack.defer(() => connection.close());
  const owned = stack.move();
  return {
    pids: [server.child.pid, echo.pid],
    async roundTrip(text) {
      return (await connection.request(echo.ready, text, { timeout: REQUEST_TIMEOUT_MS })).string();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The address in the file that the server writes when it listens. */
async function findUrl(folder: string): Promise<string> {
  const endMs = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < endMs) {
    for await (const { name } of Deno.readDir(folder)) {
      const text = await Deno.readTextFile(`${folder}/${name}`);
      const url = /nats:\/\/[\d.]+:\d+/.exec(text)?.[0];
      if (url !== undefined) return url;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`${SERVER} did not listen within ${START_TIMEOUT_MS} ms`);
}
