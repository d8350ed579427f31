import type {
  CallToolResult,
  ServerContext,
  ServerEvent,
  StandardSchemaWithJSON,
  ToolAnnotations,
} from "@modelcontextprotocol/server";
import type { z } from "zod";
import { CodedError, toCodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { NetworkAccess } from "./access.ts";
import type { PinnedAgents } from "./pinned_agents.ts";
import { type ToolAnswer, ToolCall, type ToolCallDeps } from "./tool_call.ts";

/** What tools work with. */
export interface ToolDeps extends ToolCallDeps {
  readonly access: NetworkAccess;
  readonly pinned: PinnedAgents;
  readonly slots: CallSlots;
  /** Told of each call when it is over; the tools of pinned agents are one to it. */
  readonly onCall: (tool: string, status: "ok" | "error") => void;
  /** Tells all clients of a change. */
  readonly publish: (event: ServerEvent) => void;
}

/** A tool of this network. */
export interface ToolDefinition<Input extends z.ZodObject> {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly input: Input;
  readonly output: z.ZodObject;
  readonly annotations: ToolAnnotations;
  readonly run: (input: z.infer<Input>, deps: ToolDeps, call: ToolCall) => Promise<ToolAnswer>;
}

/** Keeps the types of a tool's input together. */
export function defineTool<Input extends z.ZodObject>(tool: ToolDefinition<Input>): (deps: ToolDeps) => void {
  return (deps) =>
    void deps.server.registerTool(tool.name, {
      title: tool.title,
      description: tool.description,
      inputSchema: tool.input as StandardSchemaWithJSON<unknown, unknown>,
      outputSchema: tool.output,
      annotations: tool.annotations,
    }, (input, context) => {
      return runTool({ deps, context, tool: tool.name }, (call) =>
        tool.run(input as z.infer<Input>, deps, call));
    });
}

/** Runs a call within the bounds; what goes wrong becomes a result that says so. */
export async function runTool(
  { deps, context, tool }: { deps: ToolDeps; context: ServerContext; tool: string },
  work: (call: ToolCall) => Promise<ToolAnswer>,
): Promise<ToolAnswer> {
  const answer = await runWithin(deps, () => work(new ToolCall(deps, context)));
  deps.onCall(tool, "isError" in answer && answer.isError ? "error" : "ok");
  return answer;
}

async function runWithin({ slots, logger }: ToolDeps, work: () => Promise<ToolAnswer>): Promise<ToolAnswer> {
  try {
    using _slot = slots.take();
    return await work();
  } catch (error) {
    return toToolError(error, logger);
  }
}

/** A result with `text` for people and `structured` for programs. */
export function toToolResult(structured: Record<string, unknown>, text: string): CallToolResult {
  return { content: [{ type: "text", text }], structuredContent: structured };
}

function toToolError(error: unknown, logger: Logger): CallToolResult {
  const coded = toCodedError(error);
  if (coded.code === "internal") logger.error("A tool failed", { error });
  return {
    isError: true,
    content: [{ type: "text", text: `${coded.message} (${coded.code})` }],
    _meta: { "agentanycast/error": { code: coded.code, ...coded.details } },
  };
}

/** Bounds how many calls run at once. */
export class CallSlots {
  readonly #max: number;
  #taken = 0;
  #onIdle: () => void = () => {};

  constructor(max: number) {
    this.#max = max;
  }

  /** One place, until it is disposed. @throws CodedError `resource_exhausted`. */
  take(): Disposable {
    if (this.#taken >= this.#max) {
      throw new CodedError(
        "resource_exhausted",
        `${this.#max} calls are running: try again when some are done`,
      );
    }
    this.#taken++;
    return {
      [Symbol.dispose]: () => {
        if (--this.#taken === 0) this.#onIdle();
      },
    };
  }

  /** Resolves when no call runs, or after `patienceMs`. */
  async idle(patienceMs: number): Promise<void> {
    if (this.#taken === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onIdle = resolve;
    const timer = setTimeout(resolve, patienceMs);
    await promise;
    clearTimeout(timer);
  }
}
