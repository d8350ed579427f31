import { join } from "node:path";

/** What happens to a packet on its way between two hosts. */
export interface Impairment {
  /** Milliseconds that it takes. */
  delayMs: number;
  /** Most milliseconds that chance adds; nothing is overtaken. */
  jitterMs: number;
  /** How many of 100 are lost. */
  lossPercent: number;
}

const SWITCH = join(import.meta.dirname ?? ".", "user_space_switch.ts");

/** A network between hosts that treats their packets as an {@link Impairment} says: a switch in user space. */
export class ImpairedNetwork implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;
  /** Orders are obeyed one by one. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.#lines = linesOf(child.stdout);
  }

  /** Starts the switch in the network namespace `namespace`, where its ports appear. */
  static async start(namespace: string, { delayMs, jitterMs, lossPercent }: Impairment) {
    const args = ["netns", "exec", namespace, Deno.execPath(), "run", "-A", SWITCH];
    const child = new Deno.Command("ip", {
      args: [...args, ...[delayMs, jitterMs, lossPercent].map(String)],
      ...{ stdin: "piped", stdout: "piped", stderr: "inherit" },
    }).spawn();
    const network = new ImpairedNetwork(child);
    await network.#answer("SERVES=switch");
    return network;
  }

  /** Makes the port `name`, a network device that may be moved to another namespace. */
  addPort(name: string): Promise<void> {
    return this.#order(`port ${name}`);
  }

  /** Swallows whatever comes from or goes to the port, whose device stays up, or ends that. */
  setPort(name: string, state: "cut" | "join"): Promise<void> {
    return this.#order(`${state} ${name}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {
      // It has ended already.
    });
    await this.#lines.return?.();
    await this.#child.status;
  }

  #order(line: string): Promise<void> {
    const done = this.#turn.then(async () => {
      await this.#input.write(new TextEncoder().encode(`${line}\n`));
      await this.#answer(`DONE=${line}`);
    });
    this.#turn = done.catch(() => {
      // Whoever gave the order is told.
    });
    return done;
  }

  async #answer(due: string): Promise<void> {
    const { value, done } = await this.#lines.next();
    if (done || value !== due) throw new Error(`the switch in user space answers ${value}, not ${due}`);
  }
}

async function* linesOf(readable: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
