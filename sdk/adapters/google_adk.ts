import { type AgentRun, isObject } from "./agent_run.ts";

/** A runner of Google's Agent Development Kit. */
export interface AdkRunnerLike {
  /** Name of the application; sessions belong to it. */
  readonly appName: string;
  /** Keeps the sessions. */
  readonly sessionService: {
    /** See `BaseSessionService.getOrCreateSession()`. */
    getOrCreateSession(request: { appName: string; userId: string; sessionId: string }): Promise<unknown>;
  };
  /** See `Runner.runAsync()`. */
  runAsync(params: {
    userId: string;
    sessionId: string;
    newMessage: { role: "user"; parts: { text: string }[] };
    abortSignal?: AbortSignal;
  }): AsyncIterable<unknown>;
}

/**
 * An agent of Google's ADK, by its runner. The sender of a task is the user, its context the session, as long as the runner's
 * session service keeps it.
 */
export function googleAdk(runner: AdkRunnerLike): AgentRun {
  return async function* ({ text, sessionId, signal, task }) {
    const session = { userId: task.peerId, sessionId };
    await runner.sessionService.getOrCreateSession({ appName: runner.appName, ...session });
    const message = { role: "user" as const, parts: [{ text }] };
    const answers: string[] = [];
    for await (const event of runner.runAsync({ ...session, newMessage: message, abortSignal: signal })) {
      if (!isObject(event)) continue;
      if (typeof event.errorMessage === "string" && event.errorMessage !== "") {
        throw new Error(event.errorMessage);
      }
      const said = textOf(event.content);
      if (said === "") continue;
      if (event.partial === true) yield { delta: said };
      else if (isFinal(event.content)) answers.push(said);
    }
    signal.throwIfAborted();
    yield { text: answers.join("\n") };
  };
}

function partsOf(content: unknown): Record<string, unknown>[] {
  return isObject(content) && Array.isArray(content.parts) ? content.parts.filter(isObject) : [];
}

/** What is said aloud; thoughts are not. */
function textOf(content: unknown): string {
  return partsOf(content).flatMap(({ text, thought }) =>
    typeof text === "string" && thought !== true ? text : []
  )
    .join("");
}

/** Whether the agent is done with it: it calls no tool. */
function isFinal(content: unknown): boolean {
  return !partsOf(content).some((part) =>
    part.functionCall !== undefined || part.functionResponse !== undefined
  );
}
