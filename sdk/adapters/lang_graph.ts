import { type AgentRun, type AgentTurn, isObject, toAnswer } from "./agent_run.ts";

/** A compiled graph of LangGraph.js. */
export interface LangGraphLike {
  /** See LangGraph's `stream()`. */
  stream(input: unknown, options: {
    streamMode: ("messages" | "values")[];
    configurable: { thread_id: string };
    signal: AbortSignal;
  }): Promise<AsyncIterable<unknown>>;
}

/** How tasks and states are translated. */
export interface LangGraphOptions {
  /** The graph's input of a turn. Default: its text as `messages`, its data beside it. */
  input?: (turn: AgentTurn) => unknown;
  /** The answer in the graph's last state. Default: `output`, `response`, `result` or `answer`, else the last message. */
  output?: (state: Record<string, unknown>) => unknown;
  /**
   * The input that answers an interrupt, such as `(answer) => new Command({ resume: answer })`. Without it, an interrupt fails
   * the task.
   */
  resume?: (answer: string) => unknown;
}

/**
 * An agent that is a compiled graph of LangGraph.js. The context of a task is its thread: with a checkpointer, conversations
 * are remembered and interrupts become questions to the sender.
 */
export function langGraph(graph: LangGraphLike, options: LangGraphOptions = {}): AgentRun {
  const { input = toGraphInput, output = fromGraphState, resume } = options;
  return async function* (turn) {
    const isAnswer = resume !== undefined && turn.task.messages.some(({ role }) => role === "agent");
    const events = await graph.stream(isAnswer ? resume(turn.text) : input(turn), {
      streamMode: ["messages", "values"],
      configurable: { thread_id: turn.sessionId },
      signal: turn.signal,
    });
    let state: Record<string, unknown> = {};
    for await (const event of events) {
      const [mode, value] = Array.isArray(event) ? event : [];
      if (mode === "values" && isObject(value)) state = { ...state, ...value };
      else if (mode === "messages" && Array.isArray(value)) {
        const delta = deltaOf(value[0]);
        if (delta !== "") yield { delta };
      }
    }
    const [interrupt] = Array.isArray(state.__interrupt__) ? state.__interrupt__ : [];
    if (interrupt === undefined) return yield toAnswer(output(state));
    if (resume === undefined) {
      throw new Error("The graph was interrupted: give langGraph() a way to resume it");
    }
    yield { question: questionOf(interrupt) };
  };
}

function toGraphInput({ text, data }: AgentTurn): unknown {
  return { ...data, messages: [{ role: "user", content: text }] };
}

const OUTPUT_KEYS = ["output", "response", "result", "answer"];

function fromGraphState(state: Record<string, unknown>): unknown {
  const key = OUTPUT_KEYS.find((name) => state[name] !== undefined && state[name] !== null);
  if (key !== undefined) return state[key];
  const last = Array.isArray(state.messages) ? state.messages.at(-1) : undefined;
  return isObject(last) ? textOf(last.content) : state;
}

/** The text of a piece of a model's message; empty for messages of others. */
function deltaOf(message: unknown): string {
  if (!isObject(message)) return "";
  const type = typeof message.getType === "function" ? message.getType() : message.type;
  return type === "ai" ? textOf(message.content) : "";
}

/** The text of a message's content, which is a text or a list of blocks. */
function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  const blocks = Array.isArray(content) ? content : [];
  return blocks.flatMap((block) => isObject(block) && typeof block.text === "string" ? block.text : []).join(
    "",
  );
}

function questionOf(interrupt: unknown): string {
  const value = isObject(interrupt) ? interrupt.value : interrupt;
  return typeof value === "string" ? value : JSON.stringify(value);
}
