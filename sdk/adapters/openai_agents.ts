import { type AgentRun, toAnswer } from "./agent_run.ts";
import { SessionMemory } from "./session_memory.ts";

/** What a streamed run of the OpenAI Agents SDK gives. */
export interface OpenAiRunLike {
  /** See `StreamedRunResult.toTextStream()`. */
  toTextStream(): AsyncIterable<string>;
  /** Settles when the run is over. */
  readonly completed: Promise<void>;
  /** What the agent answered. */
  readonly finalOutput?: unknown;
  /** All that was said. */
  readonly history: readonly unknown[];
}

/** What is needed of the OpenAI Agents SDK. */
export interface OpenAiAgentsDeps<Agent> {
  /** Its `run()`, or a runner's. */
  run(
    agent: Agent,
    input: unknown,
    options: { stream: true; signal: AbortSignal },
  ): Promise<OpenAiRunLike>;
  /** The agent to run. */
  agent: Agent;
}

/** An agent of the OpenAI Agents SDK. Conversations of the last 1,000 contexts are remembered in memory. */
export function openAiAgent<Agent>({ run, agent }: OpenAiAgentsDeps<Agent>): AgentRun {
  const memory = new SessionMemory<readonly unknown[]>();
  return async function* ({ text, sessionId, signal }) {
    const input = [...memory.get(sessionId) ?? [], { role: "user", content: text }];
    const result = await run(agent, input, { stream: true, signal });
    for await (const delta of result.toTextStream()) yield { delta };
    signal.throwIfAborted();
    await result.completed;
    memory.set(sessionId, result.history);
    yield toAnswer(result.finalOutput);
  };
}
