import { resolve } from "node:path";
import { EXIT_OK } from "../exit_codes.ts";
import type { VerbContext } from "../verb.ts";

/** Backs the home up. */
export async function run({ args: [folder = ""], output, loadConfig }: VerbContext): Promise<number> {
  const { backUpHome } = await import("../../daemon/mod.ts");
  const result = await backUpHome(loadConfig(), resolve(folder));
  output.result(result, () => [`Backed up ${result.peerId} to ${result.folder}: ${amount(result)}`]);
  return EXIT_OK;
}

function amount({ files, bytes }: { files: number; bytes: number }): string {
  return `${files} files, ${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
