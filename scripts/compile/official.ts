import { join } from "node:path";
import { type Bundle, runtimeFlags } from "./bundle.ts";
import { reasonOf, run } from "./process.ts";
import { type Target, targetOfFile } from "./targets.ts";

export interface OfficialOptions {
  target: Target;
  /** Where the executable goes. */
  file: string;
  /** The environment of `deno compile`; `DENORT_BIN` names a runtime base that is at hand. Default: this process's own. */
  env?: Record<string, string>;
}

/**
 * Makes an executable with `deno compile`, which needs Deno's runtime base for the target (downloaded by Deno, in its
 * cache, or `DENORT_BIN`). Undefined when that succeeded, else the reason why not. Success means only that the file is
 * an executable for `target`: one for the host is to be run before it is trusted. `DENORT_BIN` does not count for
 * other targets, since a wrong one could not be found out here.
 */
export async function compileOfficial(bundle: Bundle, options: OfficialOptions): Promise<string | undefined> {
  const { target, file } = options;
  const env = { ...options.env ?? Deno.env.toObject() };
  if (target.triple !== Deno.build.target) delete env.DENORT_BIN;
  const names = await Array.fromAsync(Deno.readDir(bundle.dir), ({ name }) => name);
  const outcome = await run([
    ...[
      Deno.execPath(),
      "compile",
      "--quiet",
      "--no-check",
      "--no-config",
      "--no-lock",
      "--no-npm",
      "--no-remote",
    ],
    ...["--no-prompt", ...runtimeFlags(bundle.program), "--app-name", bundle.program.name],
    ...names.toSorted().flatMap((name) => name === bundle.entry ? [] : ["--include", join(bundle.dir, name)]),
    ...["--target", target.triple, "--output", file, join(bundle.dir, bundle.entry)],
  ], { cwd: bundle.dir, env });
  if (outcome.code !== 0) return `deno compile failed with ${reasonOf(outcome)}`;
  const made = await targetOfFile(file);
  return made === target.name ? undefined : `deno compile made an executable for ${made ?? "another system"}`;
}
