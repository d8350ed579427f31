import {
  acceptedContent,
  type CallToolResult,
  inputRequired,
  type InputRequiredResult,
  inputResponse,
  type McpServer,
  type RequestStateCodec,
  type ServerContext,
  TRACEPARENT_META_KEY,
  TRACESTATE_META_KEY,
} from "@modelcontextprotocol/server";
import { z } from "zod";
import { abortable } from "../../core/abortable.ts";
import { toCodedError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { Task } from "../../sdk/mod.ts";
import { Patience } from "../patience.ts";
import { clientCapabilities } from "../serving/client_capabilities.ts";
import type { NetworkAccess } from "./access.ts";
import { safeText } from "./safe_text.ts";
import { toTaskContent } from "./task_content.ts";
import { isOver, isWaiting, textOf, toTaskView } from "./task_view.ts";

/** How often a client hears that a task goes on, in milliseconds: many give up a call that is silent for a minute. */
const HEARTBEAT_MS = 10_000;
/** How long a task of a cancelled call has for being cancelled, in milliseconds. */
const CANCEL_TIMEOUT_MS = 5_000;

/** What is kept with the client while its user answers the question of an agent. */
export interface QuestionState {
  readonly taskId: string;
}

export interface ToolCallDeps {
  readonly access: NetworkAccess;
  readonly server: McpServer;
  readonly questions: RequestStateCodec<QuestionState>;
  readonly logger: Logger;
}

export type ToolAnswer = CallToolResult | InputRequiredResult;

const TRACE_PARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

const answerSchema = z.object({ answer: z.string().min(1).max(100_000).describe("your answer") });

/** One call of a tool: follows a task for a client, tells progress, asks back, and cancels the task with the call. */
export class ToolCall {
  readonly #deps: ToolCallDeps;
  readonly #context: ServerContext;
  #progress = 0;

  constructor(deps: ToolCallDeps, context: ServerContext) {
    this.#deps = deps;
    this.#context = context;
  }

  /** Fires when the client has cancelled the call, or is gone. */
  get signal(): AbortSignal {
    return this.#context.mcpReq.signal;
  }

  /** W3C Trace Context that came with the call. */
  get trace(): { traceParent: string; traceState: string } | undefined {
    const { [TRACEPARENT_META_KEY]: traceParent, [TRACESTATE_META_KEY]: traceState } =
      this.#context.mcpReq._meta ?? {};
    if (typeof traceParent !== "string" || !TRACE_PARENT.test(traceParent)) return undefined;
    return { traceParent, traceState: typeof traceState === "string" ? traceState.slice(0, 512) : "" };
  }

  /**
   * The task of an earlier round in which its agent asked something, with the user's answer sent to the agent; undefined in the
   * first round. A refused answer leaves the task waiting.
   */
  async resume(): Promise<{ task: Task; isAnswered: boolean } | undefined> {
    const { requestState, inputResponses } = this.#context.mcpReq;
    const state = requestState<QuestionState>();
    if (state === undefined) return undefined;
    const { access } = this.#deps;
    const given = acceptedContent(inputResponses, "answer", answerSchema);
    if (given !== undefined) {
      const message = { role: "user" as const, parts: [{ text: given.answer }] };
      return { task: await access.reply(state.taskId, message), isAnswered: true };
    }
    const response = inputResponse(inputResponses, "answer");
    const isRefused = response.kind === "elicit" && response.action !== "accept";
    return { task: await access.task(state.taskId), isAnswered: !isRefused };
  }

  /** Sends a task of this call. One that may have been taken when the call is cancelled meanwhile is cancelled too. */
  async begin(taskId: string, send: () => Promise<Task>): Promise<Task> {
    try {
      return await send();
    } catch (error) {
      if (this.signal.aborted) await this.#cancel(taskId);
      throw error;
    }
  }

  /**
   * Waits for the task, at most `timeoutMs`, and answers with how it stands then. A task that belongs to the call is cancelled
   * with it, and the user of the client is asked what its agent asks.
   */
  async follow(
    task: Task,
    { timeoutMs, ownsTask = true }: { timeoutMs: number; ownsTask?: boolean },
  ): Promise<ToolAnswer> {
    using patience = new Patience(timeoutMs);
    const signal = AbortSignal.any([this.signal, patience.signal]);
    const heartbeat = setInterval(() => void this.#tell(`${latest.status}…`), HEARTBEAT_MS);
    let latest = task;
    try {
      for await (latest of this.#deps.access.watch(task.taskId, { signal })) {
        if (isOver(latest)) break;
        if (isWaiting(latest)) {
          return ownsTask ? await this.ask(latest) : this.present(latest, ANSWER_WITH);
        }
        await this.#tell(toProgressText(latest));
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      clearInterval(heartbeat);
    }
    if (this.signal.aborted && ownsTask) await this.#cancel(task.taskId);
    return isOver(latest) ? this.present(latest) : this.present(latest, STILL_RUNNING);
  }

  /** Asks the user of the client what the agent wants to know, where the client can do that; else tells the question. */
  async ask(task: Task): Promise<ToolAnswer> {
    const { server, questions } = this.#deps;
    const { elicitation } = clientCapabilities(server, this.#context);
    const takesForms = elicitation !== undefined && (elicitation.form !== undefined || !elicitation.url);
    // Credentials are not for a form.
    if (!takesForms || task.status === "auth_required") return this.present(task, ANSWER_WITH);
    const question = safeText(textOf(task.messages.filter(({ role }) => role === "agent").slice(-1)), 4_000);
    return inputRequired({
      inputRequests: {
        answer: inputRequired.elicit({
          message: `An agent on the network (${task.peerId ?? "unknown"}) asks: ${question || "more input"}`,
          requestedSchema: answerSchema,
        }),
      },
      requestState: await questions.mint({ taskId: task.taskId }, this.#context),
    });
  }

  /** The task as the result of a tool; one that did not succeed counts as an error. */
  present(task: Task, note?: string): CallToolResult {
    const view = toTaskView(task);
    const hasFailed = isOver(task) && task.status !== "completed";
    return {
      content: toTaskContent(task, view, note),
      structuredContent: view,
      ...(hasFailed && { isError: true }),
    };
  }

  async #tell(message: string): Promise<void> {
    const { _meta, notify } = this.#context.mcpReq;
    const progressToken = _meta?.progressToken;
    if (progressToken === undefined || this.signal.aborted) return;
    const params = { progressToken, progress: ++this.#progress, message };
    // A client that has gone does not get the result either.
    await notify({ method: "notifications/progress", params }).catch(() => {});
  }

  async #cancel(taskId: string): Promise<void> {
    const { access, logger } = this.#deps;
    using patience = new Patience(CANCEL_TIMEOUT_MS);
    try {
      await abortable(access.cancel(taskId), patience.signal);
    } catch (error) {
      logger.info("The task of a cancelled MCP call goes on", { task: taskId, error: toCodedError(error) });
    }
  }
}

const ANSWER_WITH = "Answer with the tool reply_to_task.";
const STILL_RUNNING = "It goes on: get_task_status tells its result later, cancel_task stops it.";

function toProgressText({ status, messages }: Task): string {
  const last = messages.at(-1);
  const said = last?.role === "agent" ? textOf([last]) : "";
  return said === "" ? status : `${status}: ${safeText(said, 500)}`;
}
