import { abortable } from "../../core/abortable.ts";
import { type AgentRun, isObject } from "./agent_run.ts";
import { SessionMemory } from "./session_memory.ts";

/** An agent of the Strands Agents SDK. */
export interface StrandsAgentLike {
  /** See its `stream()`. */
  stream(input: string, options: { cancelSignal: AbortSignal }): AsyncIterator<unknown, unknown>;
}

/**
 * An agent of the Strands Agents SDK, made anew for each conversation: an agent of Strands remembers one, and takes one
 * question at a time. The last 1,000 are kept in memory.
 */
export function strandsAgent(create: (sessionId: string) => StrandsAgentLike): AgentRun {
  const sessions = new SessionMemory<{ readonly agent: StrandsAgentLike; turn: Promise<void> }>();
  return async function* ({ text, sessionId, signal }) {
    const session = sessions.get(sessionId) ?? { agent: create(sessionId), turn: Promise.resolve() };
    sessions.set(sessionId, session);
    const before = session.turn;
    let done = (): void => {};
    session.turn = new Promise((resolve) => done = resolve);
    try {
      await abortable(before, signal);
    } catch (error) {
      void before.then(done); // who comes after this one still waits for the one before
      throw error;
    }
    try {
      const events = session.agent.stream(text, { cancelSignal: signal });
      let next = await events.next();
      for (; next.done !== true; next = await events.next()) {
        const delta = deltaOf(next.value);
        if (delta !== "") yield { delta };
      }
      signal.throwIfAborted();
      yield { text: String(next.value) };
    } finally {
      done();
    }
  };
}

/** The text that an event of the model adds. */
function deltaOf(value: unknown): string {
  const event = isObject(value) && value.type === "modelStreamUpdateEvent" ? value.event : value;
  const isText = isObject(event) && event.type === "modelContentBlockDeltaEvent" && isObject(event.delta) &&
    event.delta.type === "textDelta";
  return isText ? String((event.delta as { text?: unknown }).text ?? "") : "";
}
