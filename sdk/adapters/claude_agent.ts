import { type AgentRun, isObject } from "./agent_run.ts";
import { SessionMemory } from "./session_memory.ts";

/** What is needed of the Claude Agent SDK. */
export interface ClaudeAgentDeps<Options> {
  /** Its `query()`. */
  query: (params: { prompt: string; options: Options }) => AsyncIterable<unknown>;
  /** Its options; those for streaming, cancellation and resuming are set for each task. */
  options?: Options;
  /** The prompt of a task; `{input}` stands for its text. Default: the text. */
  prompt?: string;
}

/** An agent of the Claude Agent SDK. A context is one session of it, which the next task goes on with. */
export function claudeAgent<Options extends object>(
  { query, options, prompt = "{input}" }: ClaudeAgentDeps<Options>,
): AgentRun {
  const sessions = new SessionMemory<string>();
  return async function* ({ text, sessionId, signal }) {
    const abortController = new AbortController();
    const stop = () => abortController.abort(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    const resume = sessions.get(sessionId);
    const given = {
      ...{ ...options, abortController, includePartialMessages: true },
      ...(resume !== undefined && { resume }),
    } as unknown as Options;
    try {
      for await (
        const message of query({ prompt: prompt.replaceAll("{input}", () => text), options: given })
      ) {
        if (!isObject(message)) continue;
        const delta = deltaOf(message);
        if (delta !== "") yield { delta };
        if (message.type !== "result") continue;
        if (typeof message.session_id === "string") sessions.set(sessionId, message.session_id);
        yield { text: resultOf(message) };
      }
    } finally {
      signal.removeEventListener("abort", stop);
    }
  };
}

/** The text that a partial message adds. */
function deltaOf({ type, event, parent_tool_use_id: tool }: Record<string, unknown>): string {
  const isText = type === "stream_event" && (tool ?? null) === null && isObject(event) &&
    event.type === "content_block_delta" && isObject(event.delta) && event.delta.type === "text_delta";
  return isText ? String((event.delta as { text?: unknown }).text ?? "") : "";
}

/** The answer; throws why there is none. */
function resultOf({ subtype, result, is_error: isError, errors }: Record<string, unknown>): string {
  if (subtype === "success" && isError !== true) return String(result ?? "");
  const reasons = Array.isArray(errors) && errors.length > 0 ? errors.join("; ") : String(result ?? subtype);
  throw new Error(`Claude did not finish (${String(subtype)}): ${reasons}`);
}
