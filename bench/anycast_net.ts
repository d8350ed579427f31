import { join } from "node:path";
import { type Lan, startLan } from "../tests/support/lan.ts";
import { RunningProgram } from "../tests/support/program.ts";
import { FROM_SOURCE, makeHome } from "./programs.ts";

export interface AnycastNetOptions {
  relays: number;
  /** In all; the last one is started later. */
  agents: number;
  /** Of them, those behind a NAT. */
  natAgents: number;
}

const RELAY_PORT = 4001;

/** Relays, agents and a sender, each on a host of its own. The sender is the host behind the relays. */
export class AnycastNet implements AsyncDisposable {
  readonly #lan: Lan;
  readonly #home: string;
  readonly #options: AnycastNetOptions;
  readonly #stack: AsyncDisposableStack;
  readonly #relays: RunningProgram[] = [];
  readonly #relayAddresses: string[] = [];
  readonly #agents: RunningProgram[] = [];
  /** How a command is run on a host behind a NAT, by agent. */
  readonly #ways = new Map<number, (command: readonly string[]) => string[]>();

  private constructor(lan: Lan, home: string, options: AnycastNetOptions & { stack: AsyncDisposableStack }) {
    this.#lan = lan;
    this.#home = home;
    this.#options = options;
    this.#stack = options.stack;
  }

  static async start(options: AnycastNetOptions): Promise<AnycastNet> {
    await using stack = new AsyncDisposableStack();
    const home = stack.use(await makeHome()).path;
    const lan = stack.use(await startLan(options.relays + 1 + options.agents));
    const net = new AnycastNet(lan, home, { ...options, stack: new AsyncDisposableStack() });
    for (let relay = 0; relay < options.relays; relay++) await net.#startRelay(relay);
    const sender = net.#run(options.relays, ["daemon", ...net.#daemonFlags("sender")]);
    await sender.value("PEER_ID");
    for (let agent = 0; agent < options.agents - 1; agent++) await net.startAgent();
    const owned = stack.move();
    net.#stack.defer(() => owned.disposeAsync());
    return net;
  }

  /** Where the sender's daemon answers. */
  get senderAddress(): string {
    return `unix://${join(this.#home, "sender", "daemon.sock")}`;
  }

  /** Starts the next agent, which echoes; answers its peer id. */
  async startAgent(): Promise<string> {
    const { relays, natAgents } = this.#options;
    const index = this.#agents.length;
    const host = relays + 1 + index;
    if (index < natAgents) this.#ways.set(index, await this.#lan.behindNat(host));
    return await this.restartAgent(index);
  }

  /** Starts an agent that was killed. */
  async restartAgent(index: number): Promise<string> {
    const host = this.#options.relays + 1 + index;
    const flags = ["demo", ...this.#daemonFlags(`agent-${index}`)];
    const agent = this.#run(host, flags, this.#ways.get(index));
    this.#agents[index] = agent;
    return await agent.value("PEER_ID");
  }

  async killRelay(relay: number): Promise<void> {
    await this.#relays[relay]?.stop("SIGKILL");
  }

  async restartRelay(relay: number): Promise<void> {
    await this.#startRelay(relay);
  }

  async killAgent(index: number): Promise<void> {
    await this.#agents[index]?.stop("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#agents, ...this.#relays].map((program) => program[Symbol.asyncDispose]()));
    await this.#stack.disposeAsync();
  }

  async #startRelay(relay: number): Promise<void> {
    const others = this.#relayAddresses.filter((_, index) => index !== relay);
    const program = this.#run(relay, [
      "relay",
      ...["--home", join(this.#home, `relay-${relay}`), "--listen", `/ip4/0.0.0.0/tcp/${RELAY_PORT}`],
      ...["--registry-listen", "127.0.0.1:0", "--mcp-listen", "off", "--metrics-listen", "off"],
      ...["--api-listen", "off", "--federation-sync-interval", "1s"],
      ...others.flatMap((address) => ["--federation-peers", address]),
    ]);
    this.#relays[relay] = program;
    await program.value("REGISTRY_ADDR");
    const host = this.#lan.addressOf(relay);
    const address = program.lines.find((line) => line.startsWith(`RELAY_ADDR=/ip4/${host}/`));
    this.#relayAddresses[relay] = address?.slice("RELAY_ADDR=".length) ?? "";
  }

  #daemonFlags(name: string): string[] {
    return [
      ...["--home", join(this.#home, name), "--listen", "/ip4/0.0.0.0/tcp/0", "--enable-mdns=false"],
      ...this.#relayAddresses.flatMap((address) => ["--relay", address]),
      ...["--anycast-cache-ttl", "1s", "--anycast-empty-cache-ttl", "0"],
    ];
  }

  #run(
    host: number,
    args: readonly string[],
    on = (command: readonly string[]) => this.#lan.on(host, command),
  ) {
    const program = new RunningProgram(on([...FROM_SOURCE, ...args]));
    if (args[0] === "daemon") this.#stack.use(program);
    return program;
  }
}
