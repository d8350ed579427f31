/** What the comment at the top of a script says, as the help of it: `ownHelp(import.meta.filename)`. */
export function ownHelp(path = ""): string {
  const [, comment = ""] = /^\/\*\*\n([^]*?)\n \*\//.exec(Deno.readTextFileSync(path)) ?? [];
  const lines = comment.split("\n").map((line) => line.replace(/^ \* ?/, ""));
  return lines.filter((line) => line !== "@module").join("\n").trim();
}
