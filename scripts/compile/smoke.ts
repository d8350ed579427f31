import { reasonOf, run } from "./process.ts";

export interface SmokeOptions {
  /** An existing folder that serves as home and current folder of the run. */
  home: string;
  /** Default 60,000 ms. */
  timeoutMs?: number;
}

/**
 * Runs `<file> version` in an empty environment. Undefined when it exits with 0 and prints `version` as a word, else
 * what happened instead. Only this tells whether an executable is good: `deno compile` takes any file for its base.
 */
export async function smokeRun(
  file: string,
  version: string,
  options: SmokeOptions,
): Promise<string | undefined> {
  const { home, timeoutMs = 60_000 } = options;
  const kept = ["PATH", "SYSTEMROOT", "LD_LIBRARY_PATH"].flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  });
  const env = {
    ...Object.fromEntries(kept),
    ...{ HOME: home, USERPROFILE: home, LOCALAPPDATA: home, TMPDIR: home, TEMP: home },
  };
  const outcome = await run([file, "version"], { cwd: home, env, signal: AbortSignal.timeout(timeoutMs) });
  if (outcome.code === 0 && outcome.stdout.split(/\s+/).includes(version)) return undefined;
  return `it does not print ${version} when asked for its version (${reasonOf(outcome)})`;
}
