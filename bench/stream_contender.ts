import { type Helper, startHelper } from "./programs.ts";

/** A way of moving bytes from one process to another. */
export interface StreamContender extends AsyncDisposable {
  /** The processes that take part. */
  readonly pids: readonly number[];
  /** Resolves when the other side has all bytes. Throws when it got another number of them. */
  transfer(options: TransferOptions): Promise<void>;
}

/** One stream. */
export interface TransferOptions {
  readonly totalBytes: number;
  /** Bytes handed over at a time. */
  readonly chunkBytes: number;
}

/** A way to a {@link StreamContender}. */
export interface StreamContenderEntry {
  readonly name: string;
  start(): Promise<StreamContender>;
}

/**
 * A contender made of one program that is started twice: without arguments it waits and prints where as `READY=`; with that as
 * its argument it takes orders over HTTP (see `serveTransfers`). Which of the two sends the bytes is their affair.
 */
export async function startStreamPrograms(file: string): Promise<StreamContender> {
  await using stack = new AsyncDisposableStack();
  const waiting = stack.use(await startHelper(file));
  const ordered = stack.use(await startHelper(file, [waiting.ready]));
  const owned = stack.move();
  return {
    pids: [ordered.pid, waiting.pid],
    transfer: (options) => askForTransfer(ordered, options),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Orders a transfer from a program that runs `serveTransfers`, and waits for the end of it. */
export async function askForTransfer(ordered: Helper, options: TransferOptions): Promise<void> {
  const response = await fetch(ordered.ready, { method: "POST", body: JSON.stringify(options) });
  const text = await response.text();
  if (!response.ok) throw new Error(`The transfer failed: ${text}`);
  if (text !== String(options.totalBytes)) {
    throw new Error(`Of ${options.totalBytes} bytes ${text} came`);
  }
}
