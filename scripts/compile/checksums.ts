import { createHash } from "node:crypto";
import { join } from "node:path";
import { assetName, TARGETS } from "./targets.ts";

/** The SHA-256 of a file in hex. */
export async function sha256File(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  for await (const chunk of file.readable) hash.update(chunk);
  return hash.digest("hex");
}

/**
 * Writes `SHA256SUMS` for all executables of `program` in `dir`, made now or before, so that `sha256sum -c SHA256SUMS`
 * checks them there.
 */
export async function writeChecksums(program: string, dir: string): Promise<void> {
  const wanted = new Set([program, `${program}.exe`, ...TARGETS.map((target) => assetName(program, target))]);
  const lines: string[] = [];
  for (const entry of await Array.fromAsync(Deno.readDir(dir))) {
    if (entry.isFile && wanted.has(entry.name)) {
      lines.push(`${await sha256File(join(dir, entry.name))}  ${entry.name}\n`);
    }
  }
  lines.sort((a, b) => a.slice(66) < b.slice(66) ? -1 : 1);
  const temporary = join(dir, ".SHA256SUMS.tmp");
  await Deno.writeTextFile(temporary, lines.join(""));
  await Deno.rename(temporary, join(dir, "SHA256SUMS"));
}
