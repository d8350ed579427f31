import type { AgentRun } from "./agent_run.ts";
import { SessionMemory } from "./session_memory.ts";

/** What an agent of Mastra streams. */
export interface MastraResultLike {
  /** The text as it is written. */
  readonly textStream: AsyncIterable<string>;
  /** All of it. */
  readonly text: PromiseLike<string>;
  /** Why the run failed, when it has. */
  readonly error?: unknown;
}

/** An agent of Mastra. */
export interface MastraAgentLike {
  /** See `Agent.stream()`. */
  stream(
    messages: unknown,
    options: { abortSignal: AbortSignal; memory?: { thread: string; resource: string } },
  ): Promise<MastraResultLike>;
}

/** How an agent of Mastra remembers. */
export interface MastraOptions {
  /**
   * Whether the agent has a memory of its own: the context of a task is then its thread, the sender its resource. Default
   * false: what was said in the last 1,000 contexts is kept here.
   */
  memory?: boolean;
}

/** An agent of Mastra. */
export function mastraAgent(
  agent: MastraAgentLike,
  { memory: hasMemory = false }: MastraOptions = {},
): AgentRun {
  const memory = new SessionMemory<readonly unknown[]>();
  return async function* ({ text, sessionId, signal, task }) {
    const messages = [...memory.get(sessionId) ?? [], { role: "user", content: text }];
    const thread = { memory: { thread: sessionId, resource: task.peerId } };
    const result = await agent.stream(hasMemory ? text : messages, {
      abortSignal: signal,
      ...(hasMemory && thread),
    });
    for await (const delta of result.textStream) yield { delta };
    signal.throwIfAborted();
    const answer = await result.text;
    if (result.error !== undefined) throw result.error;
    if (!hasMemory) memory.set(sessionId, [...messages, { role: "assistant", content: answer }]);
    yield { text: answer };
  };
}
