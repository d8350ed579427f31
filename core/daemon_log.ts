import { join } from "node:path";
import type { Config } from "./config.ts";
import { errorMessage } from "./errors.ts";
import { createLogger, type Logger, type LogLevelControl } from "./log.ts";
import { LogFile } from "./log_file.ts";

/** Where the log of the daemon on `home` goes. */
export function daemonLogPath(home: string): string {
  return join(home, "logs", "agentanycast.log");
}

/**
 * Most bytes on stderr when an SDK of the existing network started the daemon: they either end it once it has written
 * 1 MiB, or never read the pipe, which holds 64 KiB and then would stop it.
 */
export const MAX_STDERR_BYTES = 48 * 1024;

export interface DaemonLogOptions {
  /** Writes a line to stderr; must not throw. */
  note: (line: string) => void;
  /** Only warnings and errors on stderr, at most {@link MAX_STDERR_BYTES}. Default false. */
  quiet?: boolean;
}

/** The log of a daemon. Disposing it closes its file. */
export interface DaemonLog extends Disposable {
  readonly logger: Logger;
  /** Changes what is written from now on; stderr of a quiet log stays at warnings. */
  readonly control: LogLevelControl;
}

/** What of a configuration the log depends on. */
export type LogConfig = Pick<Config, "home" | "logLevel" | "logFormat" | "logOutput">;

/** Opens the log that `config` asks for. A log file that cannot be written is told once on stderr and done without. */
export function openDaemonLog(config: LogConfig, { note, quiet = false }: DaemonLogOptions): DaemonLog {
  const stack = new DisposableStack();
  const loggers: Logger[] = [];
  const { logFormat: format, logOutput } = config;
  const control: LogLevelControl = { level: config.logLevel };
  if (logOutput !== "file") {
    const level = () => {
      const isSevere = control.level === "warn" || control.level === "error";
      return quiet && logOutput === "both" && !isSevere ? "warn" : control.level;
    };
    loggers.push(createLogger({ level, format, write: quiet ? capped(note) : note }));
  }
  if (logOutput !== "stderr") {
    const path = daemonLogPath(config.home);
    const onError = (error: unknown) => note(`Cannot write the log file ${path}: ${errorMessage(error)}`);
    const file = stack.use(new LogFile(path, { onError }));
    loggers.push(createLogger({ level: () => control.level, format, write: (line) => file.write(line) }));
  }
  return { logger: teeLogger(loggers), control, [Symbol.dispose]: () => stack.dispose() };
}

function capped(note: (line: string) => void): (line: string) => void {
  let leftBytes = MAX_STDERR_BYTES;
  return (line) => {
    if (leftBytes <= 0) return;
    leftBytes -= new TextEncoder().encode(line).length + 1;
    note(leftBytes > 0 ? line : "No more log here: the rest is in the log file");
  };
}

/** A logger that writes to all of `loggers`. */
function teeLogger(loggers: readonly Logger[]): Logger {
  return {
    debug: (message, fields) => loggers.forEach((logger) => logger.debug(message, fields)),
    info: (message, fields) => loggers.forEach((logger) => logger.info(message, fields)),
    warn: (message, fields) => loggers.forEach((logger) => logger.warn(message, fields)),
    error: (message, fields) => loggers.forEach((logger) => logger.error(message, fields)),
    child: (fields) => teeLogger(loggers.map((logger) => logger.child(fields))),
  };
}
