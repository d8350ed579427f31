/** An append-only file of JSON lines that survives the death of its writer at any moment. */
export class FaultJournal<T> implements Disposable {
  readonly #file: Deno.FsFile;

  /** Opens the file for appending; what is there stays. */
  constructor(readonly path: string) {
    this.#file = Deno.openSync(path, { append: true, create: true });
    // A writer that was killed in the middle of a line must not spoil the first one of its successor.
    this.#file.writeSync(new TextEncoder().encode("\n"));
  }

  /** On disk when it comes back. */
  add(entry: T): void {
    const line = new TextEncoder().encode(`${JSON.stringify(entry)}\n`);
    const written = this.#file.writeSync(line);
    if (written !== line.length) throw new Error(`Only a part of a line went into ${this.path}`);
    this.#file.syncDataSync();
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** The whole lines of a journal, oldest first; none when there is no such file. A torn line is left out. */
export async function readFaultJournal<T>(path: string): Promise<T[]> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  return text.split("\n").slice(0, -1).flatMap((line): T[] => {
    try {
      return line === "" ? [] : [JSON.parse(line)];
    } catch {
      return []; // Its writer was killed before the line was whole, so what it says was not promised.
    }
  });
}
