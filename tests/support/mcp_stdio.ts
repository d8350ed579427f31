import { join } from "node:path";
import { Changes, PROGRAM_MS, within } from "./patience.ts";
import { loopbackEnv } from "./program.ts";

const MAIN = join(import.meta.dirname ?? ".", "..", "..", "main.ts");

/** A JSON-RPC message as a client sees it. */
export interface McpMessage {
  readonly id?: number;
  readonly method?: string;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: number; readonly message: string };
}

/** The program as an MCP server on its standard streams, spoken to by hand. Disposing it kills what still runs. */
export class McpStdio implements AsyncDisposable {
  readonly child: Deno.ChildProcess;
  /** All that came on stdout, line by line. */
  readonly lines: string[] = [];
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  readonly #changes = new Changes();
  #nextId = 1;
  #isOver = false;

  constructor(
    args: readonly string[],
    home: string,
    command: readonly string[] = [Deno.execPath(), "run", "-A", MAIN],
  ) {
    const [file = "", ...before] = command;
    this.child = new Deno.Command(file, {
      args: [...before, ...args],
      env: { ...loopbackEnv(home), AGENTANYCAST_ENABLE_MDNS: "false" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#writer = this.child.stdin.getWriter();
    this.#reading = this.#read();
  }

  /** Writes bytes as they are. */
  async write(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(text));
  }

  async notify(method: string, params: unknown = {}): Promise<void> {
    await this.write(`${JSON.stringify({ jsonrpc: "2.0", method, params })}\n`);
  }

  /** Asks and waits for the answer. */
  async request(method: string, params: unknown = {}): Promise<McpMessage> {
    const id = this.#nextId++;
    await this.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
    return await this.find((message) => message.id === id);
  }

  /** The handshake of revision 2025-11-25. */
  async initialize(): Promise<McpMessage> {
    const answer = await this.request("initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "test", version: "1" },
    });
    await this.notify("notifications/initialized");
    return answer;
  }

  /** What a tool answered. */
  async call(name: string, args: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const { result } = await this.request("tools/call", { name, arguments: args });
    return result?.structuredContent as Record<string, unknown> ?? result ?? {};
  }

  /** The first message, or the next one, that fits. */
  async find(fits: (message: McpMessage) => boolean): Promise<McpMessage> {
    let found: McpMessage | undefined;
    let seen = 0;
    await this.#changes.until(
      () => {
        while (found === undefined && seen < this.lines.length) {
          const message = JSON.parse(this.lines[seen++] ?? "null") as McpMessage;
          if (fits(message)) found = message;
        }
        return found !== undefined || this.#isOver;
      },
      `a message: ${fits}`,
      PROGRAM_MS,
    );
    if (found === undefined) throw new Error("The program ended without the message");
    return found;
  }

  /** Closes stdin, as a client that is done does; answers the exit code. */
  async close(): Promise<number> {
    await this.#writer.close();
    const { code } = await within("the end of the program after its stdin", this.child.status, PROGRAM_MS);
    await this.#reading;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.child.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended
    }
    await this.#reading;
    await this.child.status;
    await this.#writer.abort().catch(() => {}); // closed before
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      this.lines.push(...lines);
      this.#changes.tell();
    }
    this.#isOver = true;
    this.#changes.tell();
  }
}
