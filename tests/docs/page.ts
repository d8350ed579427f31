import { relative } from "node:path";

/**
 * What HTML comments before a code block may say about it:
 *
 * - `not run: WHY`: it is shown alone. Counted in the output of the test.
 * - `file: NAME`: it is written into the folder of the session, and not run by itself.
 * - `keeps running`: its last command goes on until the session ends.
 * - `exit: CODE`: how its last command ends.
 * - `prints`: of a text block: what the TypeScript before it prints.
 * - `config: daemon`, `relay`, `credentials` or `wrong`: which parser a TOML block has to pass, or that none has to. Default
 *   the first.
 * - `before`, `after`: TypeScript around a fragment, on the lines that follow.
 *
 * On their own stand: `sh` with commands that the reader is not shown; `stands in: A = B`, after which all that runs has B
 * where the page says A; `session: NAME` at the top of a page for a session that pages share: without it each has its own.
 */
const MARKS = ["not run", "file", "keeps running", "exit", "prints", "config", "before", "after"] as const;
type Mark = (typeof MARKS)[number];
/** What needs no mark because nobody would run it. */
const SHOWN_ONLY = ["text", "mermaid", "http", "proto", "lane", "record"];

/** A piece of a page that can be run. */
export interface Block {
  readonly page: string;
  /** Of the first line of its code, from 1. */
  readonly line: number;
  readonly language: string;
  readonly lines: readonly string[];
  readonly marks: ReadonlyMap<Mark, string>;
  /** TypeScript whose lines stand where they stand in the page, the hidden lines included. */
  readonly module: string;
}

/** A page as its runner sees it. */
export interface Page {
  /** From the root of the checkout. */
  readonly path: string;
  readonly session: string;
  readonly blocks: readonly Block[];
}

interface Comment {
  name: string;
  value: string;
  /** Its further lines: of the first one, from 1. */
  line: number;
  lines: string[];
}

/** Finds the blocks of a page. Throws `SyntaxError` that names page and line for a comment that means nothing. */
export function parsePage(path: string, text: string): Page {
  const lines = text.split("\n");
  const blocks: Block[] = [];
  let session = path;
  let comments: Comment[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    if (line.startsWith("<!--")) {
      const comment = readComment(lines, at, path);
      at = comment.line - 2 + comment.lines.length + (comment.lines.length > 0 ? 1 : 0);
      if (comment.name === "session") session = comment.value;
      else if (comment.name === "sh") blocks.push(toBlock(path, "sh", comment.line, comment.lines, []));
      else if (comment.name === "stands in") {
        blocks.push(toBlock(path, "stands in", comment.line, comment.value.split(" = "), []));
      } else if (comment.name === "after") addAfter(blocks, comment, `${path}:${at + 1}`);
      else comments.push(comment);
      continue;
    }
    const fence = /^ {0,3}```+ ?(\S*)/.exec(line);
    if (fence !== null) {
      const end = lines.findIndex((other, i) => i > at && /^ {0,3}```+\s*$/.test(other));
      if (end < 0) throw new SyntaxError(`${path}:${at + 1}: this block has no end`);
      const code = lines.slice(at + 1, end);
      blocks.push(toBlock(path, fence[1] || "text", at + 2, code, comments));
      comments = [];
      at = end;
    } else if (line.trim() !== "" && comments.length > 0) {
      throw new SyntaxError(`${path}:${at + 1}: a comment says something about a block, and none follows`);
    }
  }
  return { path, session, blocks };
}

function readComment(lines: readonly string[], at: number, path: string): Comment {
  const end = lines.findIndex((line, i) => i >= at && line.includes("-->"));
  const first = (lines[at] ?? "").replace(/^<!--\s*/, "").replace(/\s*-->.*$/, "").trim();
  const [, name = "", value = ""] = /^([a-z ]+?)(?::\s*(.*))?$/.exec(first) ?? [];
  if (end < 0 || ![...MARKS, "sh", "session", "stands in"].includes(name)) {
    throw new SyntaxError(`${path}:${at + 1}: this comment means nothing here: <!-- ${first} -->`);
  }
  if (name === "not run" && value === "") throw new SyntaxError(`${path}:${at + 1}: say why it is not run`);
  return { name, value, line: at + 2, lines: end === at ? [] : lines.slice(at + 1, end) };
}

function toBlock(
  page: string,
  language: string,
  line: number,
  lines: readonly string[],
  comments: readonly Comment[],
): Block {
  const marks = new Map(comments.map(({ name, value }) => [name as Mark, value]));
  const placed = [...comments.filter(({ name }) => name === "before"), { line, lines }];
  return { page, line, language, lines, marks, module: place(placed) };
}

/** Adds the hidden lines to the block before them. */
function addAfter(blocks: Block[], { line, lines }: Comment, where: string): void {
  const block = blocks.pop();
  if (block === undefined) throw new SyntaxError(`${where}: there is no block before these lines`);
  const marks = new Map(block.marks).set("after", "");
  const module = place([{ line: 1, lines: block.module.split("\n") }, { line, lines }]);
  blocks.push({ ...block, marks, module });
}

/** One text in which each piece begins on its line. */
function place(pieces: readonly { line: number; lines: readonly string[] }[]): string {
  const placed: string[] = [];
  for (const { line, lines } of pieces) {
    while (placed.length < line - 1) placed.push("");
    placed.push(...lines);
  }
  return placed.join("\n");
}

/** Whether nothing of a block is run, and why. */
export function whyNotRun({ marks, language }: Block): string | undefined {
  if (marks.has("not run")) return marks.get("not run");
  return SHOWN_ONLY.includes(language) && !marks.has("prints") && !marks.has("file") ? "" : undefined;
}

/** Every page with blocks to run, the README first: all but those that are made from the code. */
export async function readPages(root: string): Promise<Page[]> {
  const paths: string[] = [];
  const visit = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      const path = `${folder}/${name}`;
      if (isDirectory && name !== "reference") await visit(path);
      else if (name.endsWith(".md")) paths.push(relative(root, path));
    }
  };
  await visit(`${root}/docs`);
  const all = ["README.md", "CONTRIBUTING.md", "examples/README.md", ...paths.sort()];
  return await Promise.all(
    all.map(async (path) => parsePage(path, await Deno.readTextFile(`${root}/${path}`))),
  );
}
