// Hosts in processes of their own.
import { PROGRAM_MS, within } from "../support/patience.ts";

/** Starts `child_host.ts`; `inside` runs a command elsewhere, `listen` is where it listens. */
export function startChildHost(
  serviceTag: string,
  { inside = [], listen = [] }: { inside?: readonly string[]; listen?: readonly string[] } = {},
) {
  const script = new URL("child_host.ts", import.meta.url).pathname;
  const [file = "", ...args] = [...inside, Deno.execPath(), "run", "-A", script, serviceTag, ...listen];
  const process = new Deno.Command(file, {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let output = "";
  return {
    /** Reads on until `done` says so of the whole lines seen. */
    async linesUntil(done: (lines: string[]) => boolean): Promise<string[]> {
      while (true) {
        const lines = output.split("\n").slice(0, -1);
        if (done(lines)) return lines;
        const { value, done: ended } = await within(
          `more than ${output || "nothing"}`,
          reader.read(),
          PROGRAM_MS,
        );
        if (ended) throw new Error(`The child ended after: ${output}`);
        output += value;
      }
    },
    /** Ends its input and waits for it. */
    async stop(): Promise<Deno.CommandStatus> {
      await process.stdin.close();
      while (!(await within("the end of the child", reader.read(), PROGRAM_MS)).done);
      return await process.status;
    },
  };
}
