/** How a program ended: its exit code and all that it wrote. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  /** The whole environment of the program. Default: this process's own. */
  env?: Record<string, string>;
  /** Ends the program. */
  signal?: AbortSignal;
}

/** Runs a program to its end, without input; uncoloured. A program that cannot be started has code 127. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const [file = "", ...args] = command;
  const env = { ...options.env ?? Deno.env.toObject(), NO_COLOR: "1" };
  try {
    const output = await new Deno.Command(file, { ...options, args, env, clearEnv: true, stdin: "null" })
      .output();
    const decoder = new TextDecoder();
    return {
      code: output.code,
      stdout: decoder.decode(output.stdout),
      stderr: decoder.decode(output.stderr),
    };
  } catch (error) {
    return { code: 127, stdout: "", stderr: String(error) };
  }
}

/** The lines of an outcome's error text that tell why: without stack traces, at most six. */
export function reasonOf(outcome: Outcome): string {
  const text = (outcome.stderr || outcome.stdout).split("Stack backtrace:")[0] ?? "";
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return `exit code ${outcome.code}: ${lines.slice(0, 6).join(" | ")}`;
}
