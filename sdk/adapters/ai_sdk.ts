import type { AgentRun } from "./agent_run.ts";
import { SessionMemory } from "./session_memory.ts";

/** What an agent of the Vercel AI SDK streams. */
export interface AiSdkResultLike {
  /** The text as it is written. */
  readonly textStream: AsyncIterable<string>;
  /** All of it. */
  readonly text: PromiseLike<string>;
  /** What the agent has said and done, to go on with. */
  readonly response: PromiseLike<{ readonly messages: readonly unknown[] }>;
}

/** An agent of the Vercel AI SDK, such as its `ToolLoopAgent`. */
export interface AiSdkAgentLike<Message> {
  /** See `Agent.stream()`. The messages are the SDK's own; what it has made is only handed back to it. */
  stream(options: { messages: Message[]; abortSignal: AbortSignal }): PromiseLike<AiSdkResultLike>;
}

/** An agent of the Vercel AI SDK. Conversations of the last 1,000 contexts are remembered in memory. */
export function aiSdkAgent<Message>(agent: AiSdkAgentLike<Message>): AgentRun {
  const memory = new SessionMemory<readonly Message[]>();
  return async function* ({ text, sessionId, signal }) {
    const messages = [...memory.get(sessionId) ?? [], { role: "user", content: text } as Message];
    const result = await agent.stream({ messages, abortSignal: signal });
    for await (const delta of result.textStream) yield { delta };
    signal.throwIfAborted();
    const { messages: said } = await result.response;
    memory.set(sessionId, [...messages, ...said as Message[]]);
    yield { text: await result.text };
  };
}
