import { join } from "node:path";
import type { AgentCard, Part, PeerInfo, Task } from "agentanycast";
import { Node } from "../../sdk/mod.ts";
import { DaemonScript } from "../support/daemon_script.ts";
import { loopbackEnv } from "../support/program.ts";
import { tempDir } from "../support/temp_dir.ts";
import { startTestDaemon } from "../support/test_daemon.ts";

/** How long a call may take before the test fails. */
const PATIENCE_MS = 15_000;

/** What a program on the existing SDK can be asked for. */
export interface Calls {
  /** Starts the node and its daemon and serves tasks; answers the peer id. */
  start(): Promise<string>;
  connectPeer(peerId: string, addresses: string[]): Promise<PeerInfo>;
  getCard(peerId: string): Promise<AgentCard>;
  listPeers(): Promise<string[]>;
  /** Answers the task's id. */
  sendTask(peerId: string, parts: Part[]): Promise<string>;
  wait(taskId: string): Promise<Task>;
  cancel(taskId: string): Promise<void>;
  stop(): Promise<void>;
}

/** A line to the program. */
export interface Command {
  readonly id: number;
  readonly call: keyof Calls;
  readonly args: readonly unknown[];
}

/** A line from the program. */
export interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly name: string; readonly message: string };
}

/** A program on the existing SDK, in a process of its own. */
export class ExistingSdk implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: Promise<void>;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #lastId = 0;

  /** Runs `command`; its node is not started. */
  constructor(command: readonly string[], env: Record<string, string>) {
    const [file = "", ...args] = command;
    this.#child = new Deno.Command(file, { args, env, stdin: "piped", stdout: "piped" }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#output = this.#read();
  }

  /** Has the program make a call. Throws what the existing SDK throws, by name and message. */
  async call<K extends keyof Calls>(
    call: K,
    ...args: Parameters<Calls[K]>
  ): Promise<Awaited<ReturnType<Calls[K]>>> {
    const id = ++this.#lastId;
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.#waiting.set(id, resolve);
    const timer = setTimeout(
      () => resolve({ id, error: { name: "Silence", message: `No answer to ${call}` } }),
      PATIENCE_MS,
    );
    const command: Command = { id, call, args };
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`));
    const { result, error } = await promise;
    clearTimeout(timer);
    this.#waiting.delete(id);
    if (error !== undefined) throw Object.assign(new Error(error.message), { name: error.name });
    return result as Awaited<ReturnType<Calls[K]>>;
  }

  /** Ends the program and waits for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {}); // it has ended already
    await this.#child.status;
    await this.#output;
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const answer = JSON.parse(line) as Answer;
        this.#waiting.get(answer.id)?.(answer);
      }
    }
  }
}

/** A program on the existing SDK that drives our daemon, and a node of ours with a daemon of its own. */
export interface ExistingSdkNet extends AsyncDisposable {
  readonly theirs: ExistingSdk;
  /** The folder of their daemon. */
  readonly home: string;
  /** The program they start. */
  readonly daemon: DaemonScript;
  readonly ours: Node;
  /** Where our daemon listens. */
  readonly address: string;
}

/** Starts all but their node. */
export async function startExistingSdkNet(command: readonly string[]): Promise<ExistingSdkNet> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const home = join(dir.path, "home");
  const daemon = stack.use(await DaemonScript.write(dir.path, "agentanycastd"));
  daemon.watch();
  const env = { ...loopbackEnv(join(dir.path, "elsewhere")), AGENTANYCAST_ENABLE_MDNS: "false" };
  const theirs = stack.use(new ExistingSdk([...command, home, daemon.path], env));
  const test = stack.use(await startTestDaemon());
  const ours = stack.use(
    new Node({
      daemonAddr: test.daemon.grpcAddress,
      card: { name: "Ours", skills: [{ id: "echo", description: "Says it again" }] },
    }),
  );
  await ours.start();
  const owned = stack.move();
  return {
    theirs,
    home,
    daemon,
    ours,
    address: test.daemon.addresses()[0] as string,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
