import { join } from "node:path";
import { loopbackEnv, RunningProgram } from "../tests/support/program.ts";

const ROOT = join(import.meta.dirname ?? ".", "..");

/** The command that runs the program from source. */
export const FROM_SOURCE: readonly string[] = [Deno.execPath(), "run", "-A", join(ROOT, "main.ts")];

/** The command of the built executable, or undefined when there is none. */
export async function findExecutable(): Promise<readonly string[] | undefined> {
  const path = join(ROOT, "dist", "agentanycast");
  const { isFile } = await Deno.stat(path).catch(() => ({ isFile: false })); // not built
  return isFile ? [path] : undefined;
}

/** A daemon in a process and a home of its own, on the loopback interface. */
export interface DaemonProgram extends AsyncDisposable {
  readonly pid: number;
  /** Where its gRPC service answers. */
  readonly grpcAddress: string;
  /** Where peers can dial it. */
  readonly address: string;
}

/** An empty folder of its own, removed when it is disposed. */
export async function makeHome(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: "agentanycast_bench_" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** Starts `command daemon`, in `home` when it is given (it is then left there); resolves when it is ready. */
export async function startDaemonProgram(
  command: readonly string[],
  options: { home?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<DaemonProgram> {
  await using stack = new AsyncDisposableStack();
  const home = options.home ?? stack.use(await makeHome()).path;
  const flags = ["daemon", "--enable-mdns=false", "--log-level=error"];
  const env = { ...loopbackEnv(home), ...options.env };
  const program = stack.use(new RunningProgram([...command, ...flags], env));
  const address = await program.value("LISTEN_ADDR");
  const owned = stack.move();
  return {
    pid: program.child.pid,
    grpcAddress: `unix://${home}/daemon.sock`,
    address,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A running program of this folder. */
export interface Helper extends AsyncDisposable {
  readonly pid: number;
  /** The value of the line `READY=` that it printed. */
  readonly ready: string;
}

/** Starts one of the programs beside this file; resolves when it is ready. */
export async function startHelper(file: string, args: readonly string[] = []): Promise<Helper> {
  await using stack = new AsyncDisposableStack();
  const command = [Deno.execPath(), "run", "-A", join(import.meta.dirname ?? ".", file), ...args];
  const program = stack.use(new RunningProgram(command));
  const ready = await program.value("READY");
  const owned = stack.move();
  return { pid: program.child.pid, ready, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
