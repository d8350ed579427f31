/**
 * Checks that every relative link and every anchor in the Markdown files of the checkout leads somewhere. Names file and line
 * of those that do not; the exit code is then 1.
 *
 * @module
 */
import { dirname, join, relative, resolve } from "node:path";

const ROOT = join(import.meta.dirname ?? ".", "..");
/** Folders that are not ours to check. */
const SKIPPED = [".git", "node_modules", "dist", "coverage", "testdata"];

/** A Markdown file: its headings and links. */
interface Document {
  readonly anchors: ReadonlySet<string>;
  readonly links: readonly { line: number; target: string }[];
}

/** Every link below `root` that leads nowhere, as `file:line: target: reason`. */
export async function brokenLinks(root: string): Promise<string[]> {
  const paths = await markdownFiles(root);
  const documents = new Map(
    await Promise.all(paths.map(async (path) => [path, parse(await Deno.readTextFile(path))] as const)),
  );
  const broken: string[] = [];
  for (const [path, { links }] of documents) {
    for (const { line, target } of links) {
      const reason = await whyBroken(target, path, documents);
      if (reason !== undefined) broken.push(`${relative(root, path)}:${line}: ${target}: ${reason}`);
    }
  }
  return broken;
}

async function whyBroken(
  target: string,
  from: string,
  documents: ReadonlyMap<string, Document>,
): Promise<string | undefined> {
  if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return undefined;
  const [file = "", anchor] = target.split("#");
  const path = file === "" ? from : resolve(dirname(from), decodeURIComponent(file));
  const exists = await Deno.stat(path).then(() => true, () => false); // whatever keeps us from it, a reader meets it too
  if (!exists) return "there is no such file";
  if (anchor === undefined || anchor === "") return undefined;
  const document = documents.get(path);
  if (document === undefined) return "anchors are only in Markdown files";
  return document.anchors.has(anchor) ? undefined : "there is no such heading";
}

async function markdownFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (SKIPPED.includes(name)) continue;
    const path = join(folder, name);
    if (isDirectory) found.push(...await markdownFiles(path));
    else if (/\.md$|^llms\.txt$/.test(name)) found.push(path);
  }
  return found;
}

/** The anchors that GitHub makes of the headings, and the links outside of code. */
function parse(text: string): Document {
  const anchors = new Map<string, number>();
  const links: { line: number; target: string }[] = [];
  let inCode = false;
  for (const [i, line] of text.split("\n").entries()) {
    if (/^\s*(```|~~~)/.test(line)) inCode = !inCode;
    if (inCode) continue;
    const heading = /^#{1,6} (.*)$/.exec(line)?.[1];
    if (heading !== undefined) addAnchor(heading, anchors);
    const prose = line.replaceAll(/`[^`]*`/g, "");
    for (const [, target = ""] of prose.matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g)) {
      links.push({ line: i + 1, target });
    }
  }
  return { anchors: new Set(anchors.keys()), links };
}

function addAnchor(heading: string, anchors: Map<string, number>): void {
  const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").trim().toLowerCase();
  const slug = plain.replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(/\s/g, "-");
  const count = anchors.get(slug) ?? 0;
  anchors.set(slug, count + 1);
  if (count > 0) anchors.set(`${slug}-${count}`, 1);
}

if (import.meta.main) {
  const broken = await brokenLinks(ROOT);
  for (const link of broken) console.log(link);
  console.log(`links: ${broken.length === 0 ? "all lead somewhere" : `${broken.length} broken`}`);
  Deno.exit(broken.length === 0 ? 0 : 1);
}
