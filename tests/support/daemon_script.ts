import { join } from "node:path";
import { PROGRAM_MS, within } from "./patience.ts";

const ROOT = join(import.meta.dirname ?? ".", "..", "..");

/**
 * An executable that becomes the daemon of this checkout and can tell when that process is gone. What it starts and is
 * still there when it is disposed is killed.
 */
export class DaemonScript implements AsyncDisposable {
  /** The executable. */
  readonly path: string;
  readonly #folder: string;
  #gone: Promise<void> | undefined;

  private constructor(folder: string, name: string) {
    this.#folder = folder;
    this.path = join(folder, name);
  }

  /** Writes the executable `name` into `folder`, which is its own. */
  static async write(folder: string, name: string): Promise<DaemonScript> {
    const script = new DaemonScript(folder, name);
    const deno = `'${Deno.execPath()}' run -A --quiet --config '${join(ROOT, "deno.json")}'`;
    const body = [
      "#!/bin/sh",
      `echo $$ > '${folder}/pid'`,
      `printf '%s\\n' "$@" > '${folder}/argv'`,
      `export AGENTANYCAST_ARGV0=${name}`,
      // The pipe stays open as long as the process is there, however that ends.
      `exec ${deno} '${join(ROOT, "main.ts")}' "$@" 3> '${folder}/alive'`,
    ];
    await Deno.writeTextFile(script.path, `${body.join("\n")}\n`, { mode: 0o755 });
    const { success } = await new Deno.Command("mkfifo", { args: [join(folder, "alive")] }).output();
    if (!success) throw new Error(`Cannot make a pipe in ${folder}`);
    return script;
  }

  /** Must be called before each start: the executable waits for it. */
  watch(): void {
    this.#gone = this.#untilClosed();
  }

  /** Comes back when the process started last is gone; fails when it stays. */
  async untilGone(): Promise<void> {
    await within(`the end of ${this.path}`, Promise.resolve(this.#gone), PROGRAM_MS);
    this.#gone = undefined;
  }

  /** The arguments of the last start. */
  async argv(): Promise<string[]> {
    return (await Deno.readTextFile(join(this.#folder, "argv"))).trimEnd().split("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#gone === undefined) return;
    const pid = await Deno.readTextFile(join(this.#folder, "pid")).catch(() => ""); // never started, or gone
    if (pid !== "") Deno.kill(Number(pid), "SIGKILL");
    // Lets go of the pipe when no process has opened it.
    (await Deno.open(join(this.#folder, "alive"), { read: true, write: true })).close();
    await this.untilGone();
  }

  async #untilClosed(): Promise<void> {
    using pipe = await Deno.open(join(this.#folder, "alive"));
    while (await pipe.read(new Uint8Array(1)) !== null);
    await Deno.remove(join(this.#folder, "pid")).catch(() => {}); // never started
  }
}
