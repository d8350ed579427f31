/** A command of a transcript and what is shown below it. */
export interface Command {
  readonly line: number;
  readonly text: string;
  readonly shown: readonly string[];
}

/**
 * The commands of a console block. A command stands behind `$ ` and goes on behind a `\` at the end of its line. Throws
 * `SyntaxError` when the block begins otherwise.
 */
export function readCommands(lines: readonly string[], firstLine: number): Command[] {
  const commands: { line: number; text: string; shown: string[] }[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    if (line.startsWith("$ ")) {
      let text = line.slice(2);
      const start = at;
      while (text.endsWith("\\")) text += `\n${lines[++at] ?? ""}`;
      commands.push({ line: firstLine + start, text, shown: [] });
    } else if (commands.length === 0) throw new SyntaxError("a console block begins with `$ ` and a command");
    else commands.at(-1)?.shown.push(line);
  }
  return commands;
}

/** What differs from run to run, and how it looks. Of `same` what is shown once stands for the same thing later. */
const VARIABLES: readonly { name: string; shown: RegExp; real: string; same?: boolean }[] = [
  {
    name: "tail",
    shown: /12D3KooW…[1-9A-HJ-NP-Za-km-z]{6}\b/,
    real: "12D3KooW…[1-9A-HJ-NP-Za-km-z]{6}",
    same: true,
  },
  { name: "rest", shown: /…/, real: ".*?" },
  {
    name: "peer",
    shown: /12D3KooW[1-9A-HJ-NP-Za-km-z]{44}/,
    real: "12D3KooW[1-9A-HJ-NP-Za-km-z]{44}",
    same: true,
  },
  { name: "did", shown: /z6Mk[1-9A-HJ-NP-Za-km-z]{44}/, real: "z6Mk[1-9A-HJ-NP-Za-km-z]{44}", same: true },
  {
    name: "uuid",
    shown: /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/,
    real: "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    same: true,
  },
  { name: "hash", shown: /\b[0-9a-f]{64}\b/, real: "[0-9a-f]{64}" },
  {
    name: "time",
    shown: /\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?/,
    real: "\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)?Z?",
  },
  { name: "address", shown: /\b(?:\d{1,3}\.){3}\d{1,3}\b/, real: "(?:\\d{1,3}\\.){3}\\d{1,3}", same: true },
  { name: "port", shown: /(?<=[:/])\d{4,5}\b/, real: "\\d{4,5}", same: true },
  {
    name: "duration",
    shown: /\b\d+(?:\.\d+)? (?:ms|s|min|h|d)\b/,
    real: "\\d+(?:\\.\\d+)? (?:ms|s|min|h|d)",
  },
  { name: "size", shown: /\b\d+(?:\.\d+)? (?:B|KiB|MiB|GiB)\b/, real: "\\d+(?:\\.\\d+)? (?:B|KiB|MiB|GiB)" },
  { name: "process", shown: /(?<=[Pp]rocess:? +)\d+/, real: "\\d+" },
  { name: "short", shown: /\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8}\b/, real: "[0-9a-f]{8}" },
  { name: "space", shown: / {2,}/, real: " +" },
];
const ANY = new RegExp(VARIABLES.map(({ name, shown }) => `(?<${name}>${shown.source})`).join("|"), "g");

/** What the names and numbers that a page shows stand for in this run. */
export class Bindings {
  readonly #real = new Map<string, string>();

  /** From now on `shown` stands for `real`. */
  bind(shown: string, real: string): void {
    this.#real.set(shown, real);
  }

  /** What `shown` stands for. */
  get(shown: string): string | undefined {
    return this.#real.get(shown);
  }

  /** `code` with everything in it that stands for something replaced. Ports are replaced behind `:` and `/` alone. */
  apply(code: string): string {
    return code.replaceAll(ANY, (text) => this.#real.get(text) ?? text);
  }

  /** Whether `real` is what `shown` says; then its names are bound. Blanks at the end and their number do not count. */
  matches(shown: string, real: string): boolean {
    const names: string[] = [];
    let source = "";
    let end = 0;
    const text = shown.trimEnd();
    for (const match of text.matchAll(ANY)) {
      source += escape(text.slice(end, match.index));
      end = match.index + match[0].length;
      source += this.#pattern(match, names);
    }
    source += escape(text.slice(end));
    const found = new RegExp(`^${source}$`).exec(real.trimEnd());
    if (found === null) return false;
    for (const [i, name] of names.entries()) this.bind(name, found[i + 1] ?? "");
    return true;
  }

  #pattern(match: RegExpExecArray, names: string[]): string {
    const variable = VARIABLES.find(({ name }) => match.groups?.[name] !== undefined);
    if (variable?.same !== true) return variable?.real ?? "";
    const bound = this.#real.get(match[0]);
    if (bound !== undefined) return `(?:${escape(bound)}|${escape(match[0])})`; // 0.0.0.0 may be both
    const before = names.indexOf(match[0]);
    if (before >= 0) return `(?:\\${before + 1})`;
    names.push(match[0]);
    return `(${variable.real})`;
  }
}

/** The first line that is shown and did not come, or came and is not shown; undefined when all is as shown. */
export function difference(
  shown: readonly string[],
  real: readonly string[],
  bindings: Bindings,
): { line: number; problem: string } | undefined {
  const [wanted, came] = [trimmed(shown), trimmed(real)];
  let at = 0;
  for (const [i, line] of wanted.entries()) {
    if (line.trim() === "…") {
      const next = wanted[i + 1];
      if (next === undefined) return undefined;
      while (at < came.length && !bindings.matches(next, came[at] ?? "")) at++;
      continue;
    }
    const next = came[at++];
    if (next !== undefined && bindings.matches(line, next)) continue;
    return { line: i, problem: `shown:  ${line}\n  came:   ${next ?? "nothing more"}` };
  }
  const more = came[at];
  return more === undefined ? undefined : { line: wanted.length, problem: `came and is not shown: ${more}` };
}

function trimmed(lines: readonly string[]): readonly string[] {
  const last = lines.findLastIndex((line) => line.trim() !== "");
  return lines.slice(0, last + 1);
}

function escape(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
