import { join } from "node:path";
import { type Block, type Page, whyNotRun } from "./page.ts";

const CONFIG = join(import.meta.dirname ?? ".", "..", "..", "deno.json");
/** What is declared in a fragment may be there for the reader alone. */
const NOT_WRONG_HERE = /^(?:error: )?TS(?:6133|6192|6196|6198) /;

/** What is wrong with the types of the TypeScript in `pages`: each begins with page and line. */
export async function checkTypes(pages: readonly Page[], folder: string): Promise<string[]> {
  const blocks = pages.flatMap((page) => page.blocks).filter(isModule);
  const pageOf = new Map<string, string>();
  for (const block of blocks) {
    const name = `${block.page.replaceAll(/[^\w]/g, "_")}_${block.line}.ts`;
    pageOf.set(name, block.page);
    await Deno.writeTextFile(join(folder, name), `${block.module}\nexport {};\n`);
  }
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", "--config", CONFIG, ...[...pageOf.keys()].map((name) => join(folder, name))],
    env: { NO_COLOR: "1" },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (success) return [];
  const text = new TextDecoder().decode(stderr);
  const found = text.split(/\n(?=TS\d+ )/).flatMap((one) => {
    const [, name = "", line] = /at file:\/\/\S*\/([^/\s]+\.ts):(\d+)/.exec(one) ?? [];
    const page = pageOf.get(name);
    return page === undefined || NOT_WRONG_HERE.test(one) ? [] : [`${page}:${line}: ${one.trim()}`];
  });
  return found.length > 0 || text.includes("at file:") ? found : [text];
}

function isModule(block: Block): boolean {
  return block.language === "ts" && whyNotRun(block) === undefined;
}
