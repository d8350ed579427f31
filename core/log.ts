/** How much a logger writes; each level includes those after it. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `text` for people, `json` for machines: one object per line with `time`, `level`, `msg` and the fields. */
export type LogFormat = "text" | "json";

/** Facts that belong to a log line. Errors are written as their message and code. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Structured logger. Never give it keys, payloads or credentials. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to each of its lines. */
  child(fields: LogFields): Logger;
}

export interface LoggerOptions {
  /** Least severe level that is written, or who says so at the moment. Default `info`. */
  level?: LogLevel | (() => LogLevel);
  /** Default `text`. */
  format?: LogFormat;
  /** Where a finished line (without line break) goes. */
  write: (line: string) => void;
  /** Milliseconds since the epoch. Default `Date.now`. */
  now?: () => number;
}

/** The level of a log that can be changed while it is written. */
export interface LogLevelControl {
  level: LogLevel;
}

/** A logger that renders each line and hands it to `options.write`. */
export function createLogger(options: LoggerOptions): Logger {
  const { level: threshold = "info" } = options;
  const isWritten = (level: LogLevel) =>
    LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(typeof threshold === "string" ? threshold : threshold());
  const now = options.now ?? Date.now;
  const render = options.format === "json" ? renderJson : renderText;
  const make = (bound: LogFields): Logger => {
    const at = (level: LogLevel) => (message: string, fields: LogFields = {}) => {
      if (!isWritten(level)) return;
      options.write(render(new Date(now()).toISOString(), level, message, { ...bound, ...fields }));
    };
    return {
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      child: (fields) => make({ ...bound, ...fields }),
    };
  };
  return make({});
}

/** A logger that writes nothing. */
export const silentLogger: Logger = createLogger({ level: "error", write: () => {} });

/** Longest text of a field, in UTF-16 units: a peer's text shall not fill the log. */
const MAX_TEXT = 2_000;

function shortened(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}… (${text.length} characters)`;
}

/** `value` as JSON can hold it; what it cannot (a cycle, say) is named instead. */
function plain(value: unknown): unknown {
  if (value instanceof Error) {
    const cause = value.cause === undefined ? "" : ` (cause: ${plain(value.cause)})`;
    return `${"code" in value ? `${value.code}: ` : ""}${shortened(value.message)}${cause}`;
  }
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string") return shortened(value);
  if (typeof value !== "object" || value === null) return value;
  try {
    return JSON.parse(
      JSON.stringify(value, (_, inner) => typeof inner === "bigint" ? inner.toString() : inner),
    );
  } catch {
    return "[not printable]"; // A log line must not throw.
  }
}

function renderJson(time: string, level: LogLevel, msg: string, fields: LogFields): string {
  const line: Record<string, unknown> = { time, level, msg };
  for (const [key, value] of Object.entries(fields)) line[key] = plain(value);
  return toJsonLine(line);
}

/** `value` as one line of JSON without control characters, of which JSON itself lets some pass that a terminal obeys. */
export function toJsonLine(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Control characters of a message or field come out escaped: a peer cannot forge a log line. */
function renderText(time: string, level: LogLevel, msg: string, fields: LogFields): string {
  const parts = [time, level.toUpperCase().padEnd(5), printable(msg)];
  for (const [key, raw] of Object.entries(fields)) {
    if (raw === undefined) continue;
    const value = plain(raw);
    const text = typeof value === "string" && !/[\s"=]/.test(value) ? value : JSON.stringify(value);
    parts.push(`${key}=${printable(text)}`);
  }
  return parts.join(" ");
}

/** `text` with control characters as visible escapes. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
