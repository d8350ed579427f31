import { join } from "node:path";

const SERVER = join(import.meta.dirname ?? ".", "fixture_server.ts");

/** The fixture server as a process. Disposing it ends the server. */
export class RunningFixture implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly url: string;

  private constructor(child: Deno.ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  static async start(): Promise<RunningFixture> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", SERVER],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const [, url] = /^URL=(\S+)\n/m.exec(text) ?? [];
      if (url !== undefined) return new RunningFixture(child, url);
    }
    throw new Error("The fixture server ended without its address");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close();
    await this.#child.status;
  }
}
