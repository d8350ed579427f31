/**
 * Makes the one-file executables.
 *
 *     deno task compile [--target NAME | --all] [--mode auto|deno|pack] [--out DIR] [--mcpb] [--json]
 *
 * The program is bundled once; then there are two kinds of executable:
 *
 * - `deno-compile`: made by `deno compile`, for every target from every host. Deno downloads its runtime base for it.
 * - `self-unpacking`: a shell script around the running Deno, for this host only and not for Windows. It needs no
 *   download. Releases for macOS and Windows are always made the first way.
 *
 * `--mode auto` (the default) tries the first kind and falls back to the second, `deno` fails instead, `pack` makes
 * the second. An executable for the host is kept only after it ran. Without `--target` the file is `DIR/agentanycast`
 * (default `dist`), else `DIR/agentanycast-<os>-<arch>`; `DIR/SHA256SUMS` lists all of them. `--mcpb` makes a
 * one-click bundle for assistants of each too (`<file>.mcpb`), with the official tool. Stderr tells what was made;
 * `--json` prints it as one line on stdout. Exit code: 0 all made, 1 something failed, 2 wrong use.
 */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { CodedError, errorMessage } from "../core/errors.ts";
import { type Bundle, bundleProgram, type Program, readProgram } from "./compile/bundle.ts";
import { sha256File, writeChecksums } from "./compile/checksums.ts";
import { packMcpBundle } from "./compile/mcp_bundle.ts";
import { compileOfficial } from "./compile/official.ts";
import { packProgram } from "./compile/pack.ts";
import { smokeRun } from "./compile/smoke.ts";
import { assetName, findTarget, type Target, TARGETS } from "./compile/targets.ts";
import { ownHelp } from "./own_help.ts";

const NAME = "agentanycast";
const MODES = ["auto", "deno", "pack"] as const;

/** Which kind of executable is wanted; see the top of this file. */
export type Mode = (typeof MODES)[number];

/** An executable that was made. */
export interface Artifact {
  file: string;
  target: string;
  kind: "deno-compile" | "self-unpacking";
  bytes: number;
  seconds: number;
  sha256: string;
  /** The bundle for assistants, when it was made. */
  mcpb?: string;
}

export interface BuildOptions {
  target: Target;
  /** The finished executable; replaced by one rename. */
  file: string;
  mode: Mode;
  /** A folder for work in progress, on the same file system as `file`. */
  work: string;
  /** gzip level of a self-unpacking executable. Default 9. */
  level?: number;
  /** Environment of `deno compile`. Default: this process's own. */
  env?: Record<string, string>;
  /** Told why `auto` falls back. */
  note?: (line: string) => void;
}

/** Makes one executable. Throws CodedError `failed_precondition` when that is not possible in the wanted mode. */
export async function buildExecutable(bundle: Bundle, options: BuildOptions): Promise<Artifact> {
  const startedMs = performance.now();
  const made = join(options.work, assetName(bundle.program.name, options.target));
  const kind = await make(bundle, { ...options, file: made });
  const { size: bytes } = await Deno.stat(made);
  const sha256 = await sha256File(made);
  await Deno.rename(made, options.file);
  const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
  return { file: options.file, target: options.target.name, kind, bytes, seconds, sha256 };
}

async function make(bundle: Bundle, options: BuildOptions): Promise<Artifact["kind"]> {
  const { target, mode, file } = options;
  if (mode !== "pack") {
    const reason = await compileOfficial(bundle, options) ?? await tryOut(bundle, options);
    if (reason === undefined) return "deno-compile";
    const isForeign = target.triple !== Deno.build.target;
    if (mode === "deno" || isForeign) {
      const why = isForeign ? " (only deno compile can make executables for other platforms)" : "";
      throw new CodedError("failed_precondition", `Cannot compile for ${target.name}: ${reason}${why}`);
    }
    options.note?.(`deno compile is not possible here, making a self-unpacking executable: ${reason}`);
    await Deno.remove(file).catch(() => {}); // there is none when deno compile itself failed
  }
  await packProgram(bundle, options);
  const reason = await tryOut(bundle, options);
  if (reason === undefined) return "self-unpacking";
  throw new CodedError("failed_precondition", `Cannot use the self-unpacking executable: ${reason}`);
}

/** Why the executable does not work; undefined when it does, or when it is for another platform. */
async function tryOut(bundle: Bundle, { target, file, work }: BuildOptions): Promise<string | undefined> {
  if (target.triple !== Deno.build.target) return undefined;
  const home = await Deno.makeTempDir({ dir: work });
  return await smokeRun(file, bundle.program.version, { home });
}

interface Order {
  targets: readonly Target[];
  /** Whether bundles for assistants are made too. */
  mcpb: boolean;
  /** Whether files are named after their target. */
  asset: boolean;
  mode: Mode;
  out: string;
  json: boolean;
}

function parseOrder(args: string[]): Order {
  const { values } = parseArgs({
    args,
    options: {
      target: { type: "string" },
      all: { type: "boolean", default: false },
      mode: { type: "string", default: "auto" },
      out: { type: "string", default: "dist" },
      mcpb: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const mode = MODES.find((mode) => mode === values.mode);
  if (!mode) throw new SyntaxError(`No mode ${values.mode}: choose one of ${MODES.join(", ")}`);
  if (values.all && values.target !== undefined) throw new SyntaxError("Give --target or --all, not both");
  const target = findTarget(values.target ?? Deno.build.target);
  if (!target) {
    const names = TARGETS.map((target) => target.name).join(", ");
    throw new SyntaxError(`No target ${values.target ?? Deno.build.target}: choose one of ${names}`);
  }
  const targets = values.all ? TARGETS : [target];
  const foreign = targets.find((target) => target.triple !== Deno.build.target);
  if (mode === "pack" && foreign) {
    throw new SyntaxError(
      `Cannot pack for ${foreign.name} here: only --mode deno makes executables for other platforms`,
    );
  }
  const asset = values.all || values.target !== undefined;
  return {
    targets,
    asset,
    mode,
    mcpb: values.mcpb,
    out: resolve(values.out),
    json: values.json,
  };
}

async function fill({ targets, asset, mode, mcpb, out, json }: Order): Promise<boolean> {
  const program = await readProgram(NAME, join(import.meta.dirname ?? ".", "..", "deno.json"));
  const artifacts: Artifact[] = [];
  const failures: { target: string; reason: string }[] = [];
  await Deno.mkdir(out, { recursive: true });
  const work = await Deno.makeTempDir({ dir: out, prefix: ".compile-" });
  try {
    const bundle = await bundleProgram(program, join(work, "bundle"));
    for (const target of targets) {
      const file = join(out, asset ? assetName(NAME, target) : `${NAME}${target.suffix}`);
      try {
        const artifact = await buildExecutable(bundle, { target, file, mode, work, note: tell });
        if (mcpb) artifact.mcpb = await makeMcpBundle(artifact, { program, target, work });
        artifacts.push(artifact);
        tell(`${artifact.file}: ${artifact.kind}, ${artifact.bytes} bytes, ${artifact.seconds} s`);
      } catch (error) {
        failures.push({ target: target.name, reason: errorMessage(error) });
        tell(errorMessage(error));
      }
    }
    if (artifacts.length > 0) await writeChecksums(NAME, out);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
  const report = { version: program.version, deno: Deno.version.deno, artifacts, failures };
  if (json) await Deno.stdout.write(new TextEncoder().encode(`${JSON.stringify(report)}\n`));
  return failures.length === 0;
}

/** The one-click bundle beside an executable; answers its path. */
async function makeMcpBundle(
  { file: executable }: Artifact,
  { program, target, work }: { program: Program; target: Target; work: string },
): Promise<string> {
  const file = `${executable.replace(/\.exe$/, "")}.mcpb`;
  await packMcpBundle({ program, executable, target }, { file, work });
  tell(`${file}: bundle for assistants`);
  return file;
}

function tell(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
}

async function main(): Promise<number> {
  if (Deno.args.includes("--help") || Deno.args.includes("-h")) {
    tell(`${ownHelp(import.meta.filename)}\n\nTargets: ${TARGETS.map(({ name }) => name).join(", ")}`);
    return 0;
  }
  let order: Order;
  try {
    order = parseOrder(Deno.args);
  } catch (error) {
    tell(errorMessage(error));
    return 2;
  }
  try {
    return await fill(order) ? 0 : 1;
  } catch (error) {
    tell(errorMessage(error));
    return 1;
  }
}

if (import.meta.main) Deno.exitCode = await main();
