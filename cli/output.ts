import { styleText } from "node:util";
import { printable } from "../core/log.ts";

/** Where text goes. */
export interface TextSink {
  /** Whether a person looks at it. */
  readonly isTerminal: boolean;
  /** Writes all of `text`. Throws `Deno.errors.BrokenPipe` when nobody reads any more. */
  write(text: string): void;
}

/** Where bytes come from. */
export interface ByteSource {
  readonly isTerminal: boolean;
  readonly readable: ReadableStream<Uint8Array>;
}

/** The three standard streams. */
export interface StandardStreams {
  readonly stdin: ByteSource;
  readonly stdout: TextSink;
  readonly stderr: TextSink;
}

/** The standard streams of this process. */
export function systemStreams(): StandardStreams {
  return {
    stdin: {
      isTerminal: Deno.stdin.isTerminal(),
      get readable() {
        return Deno.stdin.readable;
      },
    },
    stdout: toSink(Deno.stdout),
    stderr: toSink(Deno.stderr),
  };
}

function toSink(stream: typeof Deno.stdout | typeof Deno.stderr): TextSink {
  return {
    isTerminal: stream.isTerminal(),
    write(text) {
      const bytes = new TextEncoder().encode(text);
      for (let done = 0; done < bytes.length;) done += stream.writeSync(bytes.subarray(done));
    },
  };
}

type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

export interface OutputOptions {
  /** Print JSON instead of text. Default false. */
  json?: boolean;
  /** Whether colours are wanted where a person looks. Default true. */
  colors?: boolean;
}

/** The only printer of the program: results on stdout, everything else on stderr. */
export class Output {
  readonly #streams: Pick<StandardStreams, "stdout" | "stderr">;
  readonly #colors: boolean;
  readonly json: boolean;

  constructor(streams: Pick<StandardStreams, "stdout" | "stderr">, options: OutputOptions = {}) {
    this.#streams = streams;
    this.json = options.json ?? false;
    this.#colors = options.colors ?? true;
  }

  /** Whether a person looks at stderr. */
  get isWatched(): boolean {
    return this.#streams.stderr.isTerminal;
  }

  /** A line on stdout. Throws `Deno.errors.BrokenPipe` when nobody reads it. */
  print(line = ""): void {
    this.#streams.stdout.write(`${line}\n`);
  }

  /** The result of a verb on stdout: `value` with `--json`, otherwise the lines that `toLines` makes. */
  result(value: unknown, toLines: () => readonly string[]): void {
    if (this.json) return this.print(JSON.stringify(value, toJson, 2));
    for (const line of toLines()) this.print(line);
  }

  /** `value` as one line of JSON on stdout, of which there may be many. */
  printJson(value: unknown): void {
    this.print(JSON.stringify(value, toJson));
  }

  /** A line on stderr; dropped when nobody can read it. */
  note(line: string): void {
    try {
      this.#streams.stderr.write(`${line}\n`);
    } catch {
      // There is nowhere left to report to.
    }
  }

  /** `text` in a style, where stdout is a terminal and colours are wanted. */
  style(style: Style, text: string): string {
    return this.#colors && this.#streams.stdout.isTerminal
      ? styleText(style, text, { validateStream: false })
      : text;
  }

  /** {@link style} for stderr. */
  noteStyle(style: Style, text: string): string {
    return this.#colors && this.#streams.stderr.isTerminal
      ? styleText(style, text, { validateStream: false })
      : text;
  }
}

/** Bytes as base64. */
function toJson(this: Readonly<Record<string, unknown>>, key: string, value: unknown): unknown {
  const original = this[key]; // not yet what a Buffer makes of itself for JSON
  return original instanceof Uint8Array ? original.toBase64() : value;
}

/** Characters that reorder or hide the text around them. */
const INVISIBLE = /[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** One line of text from elsewhere: what a terminal would obey, or not show, becomes a visible escape. */
export function visible(text: string): string {
  return printable(text).replace(INVISIBLE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** {@link visible} that keeps line breaks and tabs. */
export function visibleLines(text: string): string[] {
  return text.split(/\r?\n/).map((line) => line.split("\t").map(visible).join("\t"));
}

/** `rows` as left-aligned columns, two blanks apart. */
export function toColumns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => widths[i] = Math.max(widths[i] ?? 0, cell.length));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ").trimEnd());
}

/** Facts as `name: value` lines with the values in one column; those without a value are left out. */
export function toFacts(facts: Readonly<Record<string, string | number | undefined>>): string[] {
  const present = Object.entries(facts).filter(([, value]) => value !== undefined && value !== "");
  return toColumns(present.map(([name, value]) => [`${name}:`, String(value)]));
}
