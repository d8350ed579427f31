import { join } from "node:path";
import type { AgentCard, Part, PeerInfo, Task } from "agentanycast";
import { Node } from "../../sdk/mod.ts";
import { DaemonScript } from "../support/daemon_script.ts";
import { PROGRAM_MS } from "../support/patience.ts";
import { loopbackEnv } from "../support/program.ts";
import { tempDir } from "../support/temp_dir.ts";
import { startTestDaemon } from "../support/test_daemon.ts";

/** To whom a task goes. */
export type Target = { readonly peerId: string } | { readonly skill: string } | { readonly url: string };

/** An agent that an existing SDK has found. */
export interface FoundAgent {
  readonly peerId: string;
  readonly agentName: string;
  readonly skills: readonly { readonly skillId: string; readonly description: string }[];
}

/** How a program on an existing SDK sets up its node. */
export interface Setup {
  /** The folder of its daemon. */
  readonly home: string;
  /** The program it starts as its daemon. */
  readonly daemon: string;
  /** Where a daemon listens already; nothing is started then. */
  readonly daemonAddr?: string;
  readonly relay?: string;
  /** Serves its tasks by an adapter that writes their text in capitals; only in Python. */
  readonly adapter?: boolean;
}

/** What a program on an existing SDK can be asked for. */
export interface Calls {
  /** Starts the node and its daemon and serves tasks; answers the peer id. */
  start(): Promise<string>;
  connectPeer(peerId: string, addresses: string[]): Promise<PeerInfo>;
  getCard(peerId: string): Promise<AgentCard>;
  listPeers(): Promise<string[]>;
  discover(skill: string): Promise<readonly FoundAgent[]>;
  /** Answers the task's id. */
  sendTask(target: Target, parts: Part[]): Promise<string>;
  wait(taskId: string): Promise<Task>;
  /** The bytes of the first artifact that is streamed to the sender of a task, in hex; only in Python. */
  stream(taskId: string): Promise<string>;
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
  constructor(command: readonly string[], { env, setup }: { env: Record<string, string>; setup: Setup }) {
    const [file = "", ...args] = command;
    this.#child = new Deno.Command(file, {
      args: [...args, JSON.stringify(setup)],
      ...{ env, stdin: "piped", stdout: "piped" },
    }).spawn();
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
      PROGRAM_MS,
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

/** What a net is made of besides. */
export interface NetOptions {
  /** Environment of their program, and so of their daemon. */
  readonly env?: Readonly<Record<string, string>>;
  readonly relay?: string;
  /** Serves by an adapter. */
  readonly adapter?: boolean;
  /** Of our daemon. */
  readonly flags?: Readonly<Record<string, string>>;
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
  /** URL of the bridge of our daemon. */
  readonly bridgeUrl: string | undefined;
}

/** Starts all but their node. */
export async function startExistingSdkNet(
  command: readonly string[],
  { env = {}, relay, adapter = false, flags }: NetOptions = {},
): Promise<ExistingSdkNet> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const home = join(dir.path, "home");
  const daemon = stack.use(await DaemonScript.write(dir.path, "agentanycastd"));
  daemon.watch();
  const setup = { home, daemon: daemon.path, adapter, ...(relay !== undefined && { relay }) };
  const all = { ...loopbackEnv(join(dir.path, "elsewhere")), AGENTANYCAST_ENABLE_MDNS: "false", ...env };
  const theirs = stack.use(new ExistingSdk(command, { env: all, setup }));
  const test = stack.use(
    await startTestDaemon({ flags: { ...(relay && { "bootstrap-peers": relay }), ...flags } }),
  );
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
    bridgeUrl: test.daemon.bridgeUrl,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
