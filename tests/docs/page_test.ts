import assert from "node:assert/strict";
import { parsePage, whyNotRun } from "./page.ts";

const page = (...lines: string[]) => parsePage("a.md", lines.join("\n"));

Deno.test("parsePage() finds blocks with their lines, languages and marks", () => {
  const { blocks, session } = page(
    ...["<!-- session: s -->", "text", "<!-- file: x.ts -->", "", "```ts", "let a;", "```"],
    ...["<!-- not run: needs a mast -->", "```sh", "sail", "```", "```text", "shown", "```"],
  );
  assert.equal(session, "s");
  assert.deepEqual(blocks.map(({ line, language, lines }) => [line, language, lines]), [
    [6, "ts", ["let a;"]],
    [10, "sh", ["sail"]],
    [13, "text", ["shown"]],
  ]);
  assert.deepEqual(blocks.map(whyNotRun), [undefined, "needs a mast", ""]);
  assert.equal(blocks[0]?.marks.get("file"), "x.ts");
});

Deno.test("parsePage() puts hidden lines around a fragment where they stand in the page", () => {
  const { blocks } = page(
    ...[
      "<!-- before",
      "const node = 1;",
      "-->",
      "```ts",
      "use(node);",
      "```",
      "<!-- after",
      "done();",
      "-->",
    ],
  );
  const module = blocks[0]?.module.split("\n") ?? [];
  assert.deepEqual([module[1], module[4], module[7]], ["const node = 1;", "use(node);", "done();"]);
});

Deno.test("parsePage() names page and line of what means nothing", () => {
  assert.throws(() => page("", "<!-- nonsense -->"), /^SyntaxError: a\.md:2: /);
  assert.throws(() => page("<!-- not run -->", "```sh", "```"), /^SyntaxError: a\.md:1: say why/);
  assert.throws(() => page("<!-- exit: 1 -->", "text"), /^SyntaxError: a\.md:2: /);
  assert.throws(() => page("```sh", "no end"), /^SyntaxError: a\.md:1: /);
});
