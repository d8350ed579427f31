import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { type Bundle, runtimeFlags } from "./bundle.ts";
import { type Target, targetOfFile } from "./targets.ts";
import { CodedError } from "../../core/errors.ts";

export interface PackOptions {
  /** The platform that the running Deno is for. */
  target: Target;
  /** Where the executable goes. */
  file: string;
  /** gzip level, 1 (fast) to 9 (small). Default 9. */
  level?: number;
}

/** A file of an archive. */
export interface TarEntry {
  /** Path with `/`, at most 100 bytes. */
  name: string;
  data: Uint8Array;
}

/**
 * Writes the self-unpacking executable: `launcher.sh`, the running Deno itself and the bundle. The same inputs give
 * the same bytes. Throws CodedError `failed_precondition` when the running Deno is not one for `target`.
 */
export async function packProgram(bundle: Bundle, options: PackOptions): Promise<void> {
  const { target, file, level = 9 } = options;
  if (await targetOfFile(Deno.execPath()) !== target.name || target.suffix !== "") {
    throw new CodedError(
      "failed_precondition",
      `Cannot make a self-unpacking executable for ${target.name}: it is a shell script around the running Deno, ` +
        `which is for ${Deno.build.target}; use --mode deno`,
    );
  }
  const runtime = await Deno.readFile(Deno.execPath());
  const parts = await Promise.all([
    toPart("rt", runtime, level),
    toPart("app", toTar(await readFolder(bundle.dir)), level),
  ]);
  const launcher = await renderLauncher(bundle, target, parts);
  await Deno.writeFile(file, Buffer.concat([launcher, ...parts.map((part) => part.packed)]));
  await Deno.chmod(file, 0o755);
}

/** A deterministic ustar archive: sorted by name, nobody's, of no time. Throws RangeError for a name above 100 bytes. */
export function toTar(entries: readonly TarEntry[]): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (const { name, data } of entries.toSorted((a, b) => a.name < b.name ? -1 : 1)) {
    if (Buffer.byteLength(name) > 100) throw new RangeError(`File name of more than 100 bytes: ${name}`);
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write("0000600\0" + "0000000\0" + "0000000\0", 100); // mode, user, group
    header.write(`${data.length.toString(8).padStart(11, "0")}\0` + "00000000000\0", 124); // size, time
    header.write(" ".repeat(8) + "0", 148); // the checksum counts as blanks; a regular file
    header.write("ustar\0" + "00", 257);
    const checksum = header.reduce((sum, byte) => sum + byte, 0);
    header.write(`${checksum.toString(8).padStart(6, "0")}\0 `, 148);
    blocks.push(header, data, new Uint8Array(-data.length & 511));
  }
  return Buffer.concat([...blocks, new Uint8Array(1024)]);
}

function readFolder(dir: string): Promise<TarEntry[]> {
  return Array.fromAsync(Deno.readDir(dir), async ({ name }) => ({
    name,
    data: await Deno.readFile(join(dir, name)),
  }));
}

interface Part {
  id: string;
  sha256: string;
  size: number;
  packed: Uint8Array;
}

async function toPart(prefix: string, data: Uint8Array, level: number): Promise<Part> {
  const sha256 = createHash("sha256").update(data).digest("hex");
  const packed = await promisify(gzip)(data, { level });
  return { id: `${prefix}-${sha256.slice(0, 16)}`, sha256, size: data.length, packed };
}

async function renderLauncher(bundle: Bundle, target: Target, parts: Part[]): Promise<Uint8Array> {
  const { program } = bundle;
  const values: Record<string, string | number> = {
    NAME: program.name,
    VERSION: program.version,
    ENV: program.name.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_"),
    ENTRY: bundle.entry,
    FLAGS: runtimeFlags(program).join(" "),
    DENO_VERSION: Deno.version.deno,
    TARGET: target.name,
  };
  let offset = 0; // from the end of the file
  for (const [key, part] of [["APP", parts[1]], ["RUNTIME", parts[0]]] as const) {
    if (!part) throw new TypeError(`No part ${key}`);
    offset += part.packed.length;
    values[`${key}_ID`] = part.id;
    values[`${key}_SHA256`] = part.sha256;
    values[`${key}_SIZE`] = part.size;
    values[`${key}_LENGTH`] = part.packed.length;
    values[`${key}_OFFSET`] = offset;
  }
  const template = await Deno.readTextFile(new URL("launcher.sh", import.meta.url));
  const script = template.replaceAll(/@([A-Z0-9_]+)@/g, (_, key: string) => {
    const value = values[key];
    if (value === undefined) throw new TypeError(`launcher.sh names an unknown value: ${key}`);
    return String(value);
  });
  return new TextEncoder().encode(script);
}
