import { dirname } from "node:path";

export interface LogFileOptions {
  /** Size at which the file becomes `<path>.1` and a new one begins. Default 10 MiB. */
  maxBytes?: number;
  /** How many older files are kept, `<path>.1` the newest. Default 1. */
  keep?: number;
  /** Told of the first failure of a series; the log goes on without the file. */
  onError: (error: unknown) => void;
  /** Milliseconds since the epoch. Default `Date.now`. */
  now?: () => number;
}

/** How long a file that failed is left alone, in milliseconds. */
const RETRY_MS = 30_000;

/**
 * A log file of one line per entry, for its user only (0600; a folder that is made for it is 0700, one that is there stays as
 * it is). It never throws: what cannot be written is dropped, and the file is tried again after 30 s.
 */
export class LogFile implements Disposable {
  readonly #path: string;
  readonly #options: Required<LogFileOptions>;
  #file: Deno.FsFile | undefined;
  #bytes = 0;
  #retryAtMs = 0;
  #failing = false;

  constructor(path: string, options: LogFileOptions) {
    this.#path = path;
    this.#options = { maxBytes: 10 * 1024 * 1024, keep: 1, now: Date.now, ...options };
  }

  /** Appends a line. */
  write(line: string): void {
    if (this.#options.now() < this.#retryAtMs) return;
    try {
      this.#append(new TextEncoder().encode(`${line}\n`));
      this.#failing = false;
    } catch (error) {
      this[Symbol.dispose]();
      this.#retryAtMs = this.#options.now() + RETRY_MS;
      if (!this.#failing) this.#options.onError(error);
      this.#failing = true;
    }
  }

  [Symbol.dispose](): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #append(bytes: Uint8Array): void {
    this.#file ??= this.#open();
    if (this.#bytes > 0 && this.#bytes + bytes.length > this.#options.maxBytes) {
      this[Symbol.dispose]();
      this.#rotate();
      this.#file = this.#open();
    }
    for (let done = 0; done < bytes.length;) done += this.#file.writeSync(bytes.subarray(done));
    this.#bytes += bytes.length;
  }

  /** Every older file gets the next number; the oldest one goes. */
  #rotate(): void {
    for (let number = this.#options.keep; number > 0; number--) {
      const from = number === 1 ? this.#path : `${this.#path}.${number - 1}`;
      try {
        Deno.renameSync(from, `${this.#path}.${number}`);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound) || from === this.#path) throw error;
      }
    }
  }

  #open(): Deno.FsFile {
    Deno.mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    const file = Deno.openSync(this.#path, { append: true, create: true, mode: 0o600 });
    if (Deno.build.os !== "windows") Deno.chmodSync(this.#path, 0o600); // made by another program, it may be open
    this.#bytes = file.statSync().size;
    return file;
  }
}
