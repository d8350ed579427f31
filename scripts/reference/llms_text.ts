import { join } from "node:path";

const ROOT = join(import.meta.dirname ?? ".", "..", "..");

/** `llms.txt` (llmstxt.org): what this is, and every page of the index of `docs/` with what it is about. */
export async function llmsText(): Promise<string> {
  const readme = await Deno.readTextFile(join(ROOT, "README.md"));
  const index = await Deno.readTextFile(join(ROOT, "docs", "README.md"));
  const [, title = "", about = ""] = /^# (.+)\n\n([^]+?)\n\n/.exec(readme) ?? [];
  const sections = index.slice(index.indexOf("\n## "));
  const entries = sections.replaceAll(/\]\((?!https?:)/g, "](docs/").replaceAll(/\n {2,}(?=\S)/g, " ");
  const summary = about.replaceAll("**", "").replaceAll(/\[([^\]]+)\]\([^)]+\)/g, "$1").replaceAll("\n", " ");
  return `# ${title}\n\n> ${summary}\n${entries.trimEnd()}\n- [Examples](examples): one idea each, all run by the tests\n`;
}
