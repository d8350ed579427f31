/**
 * Writes `docs/reference/` from the code: every verb with its help, every setting with its names and default, every export of
 * the SDK, every error code; and `llms.txt` from the index of `docs/`. With `--check` nothing is written: the exit code is 1 when what is there is not what the code says.
 *
 * @module
 */
import { join } from "node:path";
import { runCli, type StandardStreams, verbPaths } from "../cli/mod.ts";
import { DAEMON_SETTINGS } from "../core/config.ts";
import { shownValue } from "../core/config_file.ts";
import { type NamedSetting, namedSettings, type SettingsTable } from "../core/resolve_settings.ts";
import { defaultOf } from "../core/setting.ts";
import { RELAY_ENV_PREFIX, RELAY_SETTINGS } from "../core/settings/relay.ts";
import { changedPaths, readTree, type Tree, writePaths } from "./gen.ts";
import { errorsPage } from "./reference/errors_page.ts";
import { llmsText } from "./reference/llms_text.ts";
import { sdkPage } from "./reference/sdk_page.ts";

const ROOT = join(import.meta.dirname ?? ".", "..");
const FOLDER = join(ROOT, "docs", "reference");
const NOTE = "<!-- Made from the code by `deno task reference`. -->";

/** What the program prints when it is called with `argv`. */
async function printed(argv: readonly string[]): Promise<string> {
  let text = "";
  const sink = { isTerminal: false, write: (piece: string) => void (text += piece) };
  const stdin = { isTerminal: false, readable: new ReadableStream<Uint8Array>() };
  const streams: StandardStreams = { stdin, stdout: sink, stderr: sink };
  const signal = new AbortController().signal;
  const code = await runCli(argv, { name: "agentanycast", streams, colors: false, signal });
  if (code !== 0) throw new Error(`agentanycast ${argv.join(" ")} ended with ${code}:\n${text}`);
  return text.trimEnd();
}

async function cliPage(): Promise<string> {
  const sections: string[] = [];
  for (const path of verbPaths()) {
    const help = await printed([...path.split(" "), "--help"]);
    sections.push(`## agentanycast ${path}\n\n\`\`\`text\n${help}\n\`\`\``);
  }
  const exitCodes = await printed(["help", "exit-codes"]);
  return `${NOTE}

# Command line

\`agentanycast VERB --help\` prints the same.

## Exit codes

\`\`\`text
${exitCodes}
\`\`\`

${sections.join("\n\n")}
`;
}

function configurationPage(): string {
  return `${NOTE}

# Configuration

Flags win over environment variables, those over the configuration file (\`<home>/config.toml\`), those over the
defaults. \`agentanycast config show\` tells where each value comes from, \`config check\` every mistake with its line,
\`config init\` writes a file to begin with.

Lists are arrays in the file and separated by commas elsewhere; durations are written \`30s\`, \`90m\`, \`24h\`, \`30d\`.

# Daemon
${tables(DAEMON_SETTINGS, { home: "~/.agentanycast", userHome: "~" })}

# Relay

Its home is \`~/.agentanycast/relay\`.
${tables(RELAY_SETTINGS, { home: "~/.agentanycast/relay", userHome: "~" }, RELAY_ENV_PREFIX)}
`;
}

function tables(
  table: SettingsTable,
  paths: { home: string; userHome: string },
  envPrefix?: string,
): string {
  const settings = namedSettings(table, envPrefix);
  const sections = [...new Set(settings.map(({ section }) => section))];
  return sections.map((section) => {
    const rows = settings.filter((one) => one.section === section).map((one) => row(one, paths));
    const title = section === "" ? "Outside of sections" : `[${section}]`;
    return `
## ${title}

| file | environment | flag | default | |
| --- | --- | --- | --- | --- |
${rows.join("\n")}`;
  }).join("\n");
}

function row(setting: NamedSetting, paths: { home: string; userHome: string }): string {
  const { called, help } = setting;
  const value = shownValue(setting, defaultOf(setting, paths));
  const isNothing = value === undefined || (Array.isArray(value) && value.length === 0);
  const byDefault = isNothing ? "" : code(typeof value === "string" ? value : JSON.stringify(value));
  const cells = [
    called.toml === null ? "" : code(called.toml),
    called.env === null ? "" : code(called.env),
    called.flag === null ? "" : code(`--${called.flag}`),
    byDefault,
    help,
  ];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function code(text: string): string {
  return `\`${text}\``;
}

if (import.meta.main) {
  const pages: Tree = new Map([
    ["cli.md", await cliPage()],
    ["configuration.md", configurationPage()],
    ["errors.md", errorsPage(NOTE)],
    ["sdk.md", await sdkPage(NOTE)],
  ]);
  const roots: Tree = new Map([["llms.txt", await llmsText()]]);
  const there: Tree = new Map([[
    "llms.txt",
    await Deno.readTextFile(join(ROOT, "llms.txt")).catch(() => ""),
  ]]);
  const changed = [
    { folder: FOLDER, wanted: pages, paths: changedPaths(pages, await readTree(FOLDER)) },
    { folder: ROOT, wanted: roots, paths: changedPaths(roots, there) },
  ];
  const paths = changed.flatMap(({ paths }) => paths);
  const isCheck = Deno.args.includes("--check");
  if (!isCheck) { for (const { folder, wanted, paths } of changed) await writePaths(folder, wanted, paths); }
  console.log(`docs/reference, llms.txt: ${paths.length === 0 ? "up to date" : paths.join(", ")}`);
  if (isCheck && paths.length > 0) {
    console.log("Run `deno task reference` and commit what it writes.");
    Deno.exit(1);
  }
}
