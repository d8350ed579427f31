import { LogFile } from "../../core/log_file.ts";
import { type Logger, toJsonLine } from "../../core/log.ts";

/** One decision. */
export interface AuditEntry {
  readonly direction: "inbound" | "outbound";
  readonly decision: "allow" | "deny" | "rate_limit" | "task_limit";
  /** The wire by which it came or goes: `libp2p`, `http`, `anp`, `mcp` or `grpc`. */
  readonly wire: string;
  /** Where the other side is connected from or to, when it is known. */
  readonly address: string | undefined;
  readonly source: string;
  readonly target: string;
  readonly skill: string;
  readonly task: string;
  /** Number of the rule that decided, from 1. */
  readonly rule: number | undefined;
  readonly reason: string;
}

export interface AuditLogOptions {
  maxBytes: number;
  keep: number;
}

/** Longest text of a field: a sender may choose the ids of tasks and skills. */
const MAX_TEXT = 512;

/**
 * The decisions of a policy, as one JSON object per line, in a file for its user only (0600) that is rotated by size. What
 * cannot be written is told in the log, and the node goes on.
 */
export class AuditLog implements Disposable {
  readonly #file: LogFile;

  constructor(path: string, { logger, ...options }: AuditLogOptions & { logger: Logger }) {
    this.#file = new LogFile(path, {
      ...options,
      onError: (error) => logger.error("The audit log cannot be written", { path, error }),
    });
  }

  /** Appends a decision. Control characters are escaped, so that nobody can forge a line. */
  write(entry: AuditEntry, nowMs: number): void {
    const shortened = Object.entries(entry).map(([name, value]) => [
      name,
      typeof value === "string" && value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value,
    ]);
    this.#file.write(
      toJsonLine({ time: new Date(nowMs).toISOString(), ...Object.fromEntries(shortened) }),
    );
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}
