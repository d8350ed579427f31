import { join } from "node:path";

const ROOT = join(import.meta.dirname ?? ".", "..", "..");

/** The page of the SDK: what `deno doc` tells about each module that the package exports. */
export async function sdkPage(note: string): Promise<string> {
  const { name, exports } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const modules = await Promise.all(
    Object.entries(exports as Record<string, string>).map(async ([path, file]) =>
      `## ${name}${path.slice(1)}\n\n${await describeModule(file)}`
    ),
  );
  return `${note}

# SDK

Every export of each module, as its documentation says. The [guides](../README.md) show them at work.

${modules.join("\n\n")}
`;
}

async function describeModule(file: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--quiet", file],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout);
  if (!success) throw new Error(`deno doc ${file}: ${new TextDecoder().decode(stderr)}`);
  const [about = "", ...entries] = text.split(/^Defined in \S+\n/m);
  const seen = new Map<string, string[]>();
  for (const entry of entries) {
    const declaration = entry.trim();
    const name = nameOf(declaration);
    seen.set(name, [...seen.get(name) ?? [], declaration]);
  }
  const sections = [...seen].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([name, declarations]) => `### ${name}\n\n\`\`\`\`text\n${declarations.join("\n\n")}\n\`\`\`\``);
  return [plain(about), ...sections].join("\n\n");
}

/** Of `async function send(…): void` and the like. */
function nameOf(declaration: string): string {
  const [, name] =
    /^(?:(?:abstract|async|const|class|function|interface|type|enum|namespace|let|var) )+([\w$]+)/.exec(
      declaration,
    ) ?? [];
  if (name === undefined) throw new Error(`deno doc shows a declaration without a name: ${declaration}`);
  return name;
}

/** The text about a module, without what is for tools alone. */
function plain(about: string): string {
  return about.replace(/^@module\s*$/m, "").replaceAll(/\{@link (\S+?)\}/g, "`$1`").trim();
}
