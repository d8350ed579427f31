import { CodedError } from "../../core/errors.ts";
import type { DiscoveryQuery, NetworkAccess, OutgoingTask } from "../../mcp/mod.ts";
import type {
  AgentCard,
  DiscoveredAgent,
  Message,
  NodeInfo,
  PeerInfo,
  Task,
  TaskFilter,
} from "../../sdk/mod.ts";

/** Peer id of the agent of {@link FakeNetwork}. */
export const AGENT = "12D3KooW9pP4Seg3kZYhySpuVjn1RPdQBsUFZKiFxGMGQN5MeL6A";
const OWN = "12D3KooW9pNAk8aiBuGVQtWRdbkLmo5qVL3e2h5UxbN2Nz9ttwiw";

/** What the agent does with each new message of a task. */
export type FakeAgent = (task: Task, network: FakeNetwork) => void;

/** A network in memory with one agent, who does what the test says. */
export class FakeNetwork implements NetworkAccess {
  readonly tasksById = new Map<string, Task>();
  readonly sent: OutgoingTask[] = [];
  readonly cancelled: string[] = [];
  card_: AgentCard = {
    name: "Echo",
    description: "Says it again",
    skills: [{ id: "echo", description: "Echoes" }, {
      id: "add",
      description: "Adds",
      inputSchema: JSON.stringify({
        type: "object",
        properties: { a: { type: "number" }, b: { type: "number" } },
        required: ["a", "b"],
      }),
    }],
    peerId: AGENT,
  };
  discovered: DiscoveredAgent[] = [];
  /** How many watches run. */
  watching = 0;
  readonly #agent: FakeAgent;
  readonly #waiting = new Set<() => void>();

  constructor(agent: FakeAgent) {
    this.#agent = agent;
  }

  /** Changes a task, and tells those who watch. */
  update(taskId: string, change: Partial<Task>): Task {
    const before = this.#get(taskId);
    const task = { ...before, ...change, generation: (before.generation ?? 0) + 1 };
    this.tasksById.set(taskId, task);
    for (const wake of this.#waiting) wake();
    return task;
  }

  info(): Promise<NodeInfo> {
    return Promise.resolve({
      peerId: OWN,
      did: "did:key:z6MkeTG3bFFSLYVU7VqhgZxqr6YzpaGrQtFMh1uvqGy1vDnP",
      listenAddresses: ["/ip4/127.0.0.1/tcp/4001"],
      connectedPeers: 1,
      version: "9.9.9",
      nat: "unknown",
    });
  }

  peers(): Promise<PeerInfo[]> {
    return Promise.resolve([{
      peerId: AGENT,
      addresses: ["/ip4/127.0.0.1/tcp/4002"],
      connection: "direct",
      agentName: "Echo\u001b[31m\u202e",
    }]);
  }

  connect(target: string): Promise<PeerInfo> {
    return Promise.resolve({ peerId: AGENT, addresses: [target], connection: "direct" });
  }

  card(peerId: string): Promise<AgentCard> {
    if (peerId === AGENT) return Promise.resolve(this.card_);
    return Promise.reject(new CodedError("not_found", `No agent card of ${peerId}`));
  }

  discover({ limit }: DiscoveryQuery): Promise<DiscoveredAgent[]> {
    return Promise.resolve(this.discovered.slice(0, limit));
  }

  send(task: OutgoingTask): Promise<Task> {
    this.sent.push(task);
    const { taskId } = task;
    this.tasksById.set(taskId, {
      taskId,
      contextId: "c",
      status: "submitted",
      messages: [task.message],
      artifacts: [],
      metadata: {},
      direction: "outbound",
      peerId: task.target.kind === "peer" ? task.target.peerId : AGENT,
      generation: 1,
    });
    const sent = this.#get(taskId);
    queueMicrotask(() => this.#agent(sent, this));
    return Promise.resolve(sent);
  }

  task(taskId: string): Promise<Task> {
    try {
      return Promise.resolve(this.#get(taskId));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  tasks({ limit = 100 }: TaskFilter): Promise<Task[]> {
    return Promise.resolve([...this.tasksById.values()].slice(0, limit));
  }

  reply(taskId: string, message: Message): Promise<Task> {
    const task = this.update(taskId, {
      status: "working",
      messages: [...this.#get(taskId).messages, message],
    });
    queueMicrotask(() => this.#agent(task, this));
    return Promise.resolve(task);
  }

  cancel(taskId: string): Promise<Task> {
    this.cancelled.push(taskId);
    return Promise.resolve(this.update(taskId, { status: "canceled" }));
  }

  async *watch(taskId: string, { signal }: { signal: AbortSignal }): AsyncGenerator<Task> {
    let generation = 0;
    this.watching++;
    using _end = { [Symbol.dispose]: () => void this.watching-- };
    while (true) {
      signal.throwIfAborted();
      const task = this.#get(taskId);
      if ((task.generation ?? 0) > generation) {
        generation = task.generation ?? 0;
        yield task;
        continue;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.add(resolve);
      signal.addEventListener("abort", () => resolve(), { once: true });
      await promise;
      this.#waiting.delete(resolve);
    }
  }

  #get(taskId: string): Task {
    const task = this.tasksById.get(taskId);
    if (task === undefined) throw new CodedError("not_found", `There is no task ${taskId}`);
    return task;
  }
}

/** An agent who answers with what it was sent. */
export const echoAgent: FakeAgent = ({ taskId, messages }, network) => {
  const text = messages.at(-1)?.parts.map(({ text = "" }) => text).join("") ?? "";
  network.update(taskId, { status: "working" });
  network.update(taskId, {
    status: "completed",
    artifacts: [{ artifactId: "a1", name: "echo", parts: [{ text: `Echo: ${text}` }] }],
  });
};
