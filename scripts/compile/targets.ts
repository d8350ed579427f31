/** A platform that the program is released for. */
export interface Target {
  /** `<os>-<arch>`, as in the file names of a release. */
  readonly name: string;
  /** What Deno calls it: `deno compile --target`, `Deno.build.target`. */
  readonly triple: string;
  /** Suffix of executables: `.exe` or nothing. */
  readonly suffix: string;
}

/** Every platform of a release: those that Deno has a runtime for. */
export const TARGETS: readonly Target[] = [
  { name: "linux-x64", triple: "x86_64-unknown-linux-gnu", suffix: "" },
  { name: "linux-arm64", triple: "aarch64-unknown-linux-gnu", suffix: "" },
  { name: "macos-x64", triple: "x86_64-apple-darwin", suffix: "" },
  { name: "macos-arm64", triple: "aarch64-apple-darwin", suffix: "" },
  { name: "windows-x64", triple: "x86_64-pc-windows-msvc", suffix: ".exe" },
  { name: "windows-arm64", triple: "aarch64-pc-windows-msvc", suffix: ".exe" },
];

/** The target with this name or triple. */
export function findTarget(name: string): Target | undefined {
  return TARGETS.find((target) => target.name === name || target.triple === name);
}

/** The file name of a release for `target`: `agentanycast-linux-x64`, `agentanycast-windows-x64.exe`. */
export function assetName(program: string, target: Target): string {
  return `${program}-${target.name}${target.suffix}`;
}

/**
 * The name of the target that an executable was made for, judged by the first KiB of it (ELF, Mach-O or PE header);
 * undefined when it is none that the program is released for.
 */
export function targetOfExecutable(head: Uint8Array): string | undefined {
  if (head.length < 0x40) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (view.getUint32(0) === 0x7f454c46) {
    return { 0x3e: "linux-x64", 0xb7: "linux-arm64" }[view.getUint16(18, true)];
  }
  if (view.getUint32(0, true) === 0xfeedfacf) {
    return { 0x01000007: "macos-x64", 0x0100000c: "macos-arm64" }[view.getUint32(4, true)];
  }
  const pe = view.getUint32(0x3c, true);
  if (view.getUint16(0) !== 0x4d5a || pe + 6 > head.length || view.getUint32(pe) !== 0x50450000) {
    return undefined;
  }
  return { 0x8664: "windows-x64", 0xaa64: "windows-arm64" }[view.getUint16(pe + 4, true)];
}

/** {@link targetOfExecutable} for the file at `path`. Throws what opening it throws. */
export async function targetOfFile(path: string): Promise<string | undefined> {
  using file = await Deno.open(path);
  const head = new Uint8Array(1024);
  const length = await file.read(head) ?? 0;
  return targetOfExecutable(head.subarray(0, length));
}
