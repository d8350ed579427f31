import { type Engine, isInterrupted, isTerminal, type Part, type Task } from "../../a2a/mod.ts";
import { parseBoundedJson } from "../../core/bounded_json.ts";
import type { TraceContext } from "../../core/tracer.ts";
import { CodedError, type ErrorCode, toCodedError } from "../../core/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../core/json.ts";
import type { Logger } from "../../core/log.ts";
import type { AgentNetwork } from "../agent_network.ts";
import type { CallerId } from "../routed_transport.ts";
import { TASK_METHODS } from "./anp_documents.ts";
import { textOf, toResult } from "./anp_result.ts";

export interface AnpRpcDeps {
  readonly engine: Pick<Engine, "getTask" | "cancelTask" | "subscribe">;
  readonly network: Pick<AgentNetwork, "send" | "ownCard">;
  readonly logger: Logger;
}

export interface AnpRpcOptions {
  /** How long a call waits for the end of its task, in milliseconds. */
  readonly answerTimeoutMs: number;
  /** Calls that are answered at once. */
  readonly maxCalls: number;
}

/** Who calls, and until when. */
export interface AnpCall {
  readonly caller: CallerId;
  /** What the call belongs to; default nothing. */
  readonly trace?: TraceContext;
  readonly signal: AbortSignal;
}

type Id = string | number | null;

/** Calls in one batch. */
const MAX_BATCH = 32;

/** Numbers of JSON-RPC, and its range for errors of a server, by what went wrong. */
const RPC_CODES: Readonly<Partial<Record<ErrorCode, number>>> = {
  invalid_argument: -32602,
  unimplemented: -32601,
  internal: -32603,
};
const SERVER_ERROR = -32000;

/** JSON-RPC 2.0 on the skills of this node's agent: a method is a skill, a call is a task, its result is what came of it. */
export class AnpRpc {
  readonly #deps: AnpRpcDeps;
  readonly #options: AnpRpcOptions;
  #running = 0;

  constructor(deps: AnpRpcDeps, options: AnpRpcOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Answers a body of one call or several; undefined when nothing is to be answered. */
  async answer(body: string, call: AnpCall): Promise<JsonValue | undefined> {
    let request: unknown;
    try {
      request = parseBoundedJson(body);
    } catch (error) {
      if (error instanceof RangeError) return failure(null, { code: -32600, message: error.message });
      return failure(null, { code: -32700, message: "The body is not JSON" });
    }
    if (!Array.isArray(request)) return await this.#answerOne(request, call);
    if (request.length === 0 || request.length > MAX_BATCH) {
      return failure(null, { code: -32600, message: `A batch holds 1 to ${MAX_BATCH} calls` });
    }
    const answers = await Promise.all(request.map((one) => this.#answerOne(one, call)));
    const given = answers.filter((answer) => answer !== undefined);
    return given.length === 0 ? undefined : given;
  }

  async #answerOne(request: unknown, call: AnpCall): Promise<JsonObject | undefined> {
    const isRequest = isJsonObject(request) && request.jsonrpc === "2.0" &&
      typeof request.method === "string" &&
      isId(request.id);
    if (!isRequest) return failure(null, { code: -32600, message: "It is no call of JSON-RPC 2.0" });
    const { id, method, params } = request;
    const answer = await this.#run(String(method), params, call).then(
      (result): JsonObject => ({ jsonrpc: "2.0", id: id as Id, result }),
      (error) => failure(id as Id, this.#toError(error, String(method))),
    );
    return id === undefined ? undefined : answer;
  }

  async #run(method: string, params: JsonValue | undefined, call: AnpCall): Promise<JsonObject> {
    if (this.#running >= this.#options.maxCalls) {
      throw new CodedError("resource_exhausted", "The agent is busy: call again later");
    }
    this.#running++;
    try {
      const { ownCard } = this.#deps.network;
      if (ownCard === undefined) {
        throw new CodedError("unavailable", "There is no agent here yet: call again later");
      }
      if (ownCard.skills.some(({ id }) => id === method)) return await this.#send(method, params, call);
      const known = TASK_METHODS.find((one) => one === method);
      if (known !== undefined) return toResult(await this.#about(known, params, call));
      const skills = ownCard.skills.map(({ id }) => id).join(", ");
      throw new CodedError(
        "unimplemented",
        `There is no method ${method.slice(0, 100)}: known are ${skills}`,
      );
    } finally {
      this.#running--;
    }
  }

  async #send(skillId: string, params: JsonValue | undefined, call: AnpCall): Promise<JsonObject> {
    const { parts, taskId, contextId } = inputOf(params);
    const task = await this.#deps.network.send({
      target: { kind: "own", caller: call.caller },
      message: { messageId: crypto.randomUUID(), role: "user", parts, createdAtMs: Date.now() },
      targetSkillId: skillId,
      ...(call.trace && { trace: call.trace }),
      ...(taskId !== undefined && { taskId }),
      ...(contextId !== undefined && { contextId }),
    });
    const ended = await this.#settled(task, call.signal);
    if (ended.status !== "failed" && ended.status !== "rejected" && ended.status !== "canceled") {
      return toResult(ended);
    }
    throw new CodedError("aborted", textOf(ended) || `The task is ${ended.status}`, {
      details: { task_id: ended.taskId, status: `TASK_STATUS_${ended.status.toUpperCase()}` },
    });
  }

  /** The task once it has ended or asks something, or as it stands when the time is over. */
  async #settled({ taskId, generation }: Task, signal: AbortSignal): Promise<Task> {
    const { engine } = this.#deps;
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), this.#options.answerTimeoutMs);
    const until = AbortSignal.any([signal, patience.signal]);
    try {
      for await (const update of engine.subscribe(taskId, { signal: until })) {
        const isAnswer = isInterrupted(update.status) && update.generation >= generation;
        if (isTerminal(update.status) || isAnswer) break;
      }
    } catch (error) {
      if (!patience.signal.aborted || signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
    return await engine.getTask(taskId);
  }

  /** A task of the caller; those of others are not there for it. */
  async #about(
    method: (typeof TASK_METHODS)[number],
    params: JsonValue | undefined,
    call: AnpCall,
  ): Promise<Task> {
    const { engine } = this.#deps;
    const taskId = isJsonObject(params) ? params.task_id : undefined;
    if (typeof taskId !== "string") {
      throw new CodedError("invalid_argument", "Name the task as params.task_id");
    }
    const task = await engine.getTask(taskId).catch((error) => {
      const { code } = toCodedError(error);
      if (code === "not_found" || code === "invalid_argument") return undefined;
      throw error;
    });
    if (task === undefined || task.peerId !== call.caller) {
      throw new CodedError("not_found", "There is no such task of yours");
    }
    return method === "get_task" ? task : await engine.cancelTask(taskId);
  }

  #toError(error: unknown, method: string): { code: number; message: string; data?: JsonObject } {
    const { code, message, details, cause } = toCodedError(error);
    if (code === "internal") this.#deps.logger.error("A call failed", { method, error: cause ?? error });
    return {
      code: RPC_CODES[code] ?? SERVER_ERROR,
      message,
      ...(Object.keys(details).length > 0 && { data: details }),
    };
  }
}

interface Input {
  readonly parts: readonly Part[];
  readonly taskId?: string;
  readonly contextId?: string;
}

/** What is asked: `params.input`, else `params.message`, else all of the parameters; text stays text. */
function inputOf(params: JsonValue | undefined): Input {
  if (!isJsonObject(params)) {
    const [first, ...others] = Array.isArray(params) ? params : [params];
    return { parts: [toPart(others.length > 0 ? params : first)] };
  }
  const { input = params.message, task_id, context_id } = params;
  if (input === undefined) return { parts: [toPart(params)] };
  return {
    parts: [toPart(input)],
    ...(typeof task_id === "string" && task_id !== "" && { taskId: task_id }),
    ...(typeof context_id === "string" && context_id !== "" && { contextId: context_id }),
  };
}

function toPart(value: JsonValue | undefined): Part {
  if (isJsonObject(value)) {
    return { content: { kind: "data", data: value }, mediaType: "application/json", metadata: {} };
  }
  const text = typeof value === "string" ? value : JSON.stringify(value ?? {});
  return { content: { kind: "text", text }, mediaType: "text/plain", metadata: {} };
}

function isId(id: JsonValue | undefined): boolean {
  return id === undefined || id === null || typeof id === "string" || typeof id === "number";
}

function failure(id: Id, error: { code: number; message: string; data?: JsonObject }): JsonObject {
  return { jsonrpc: "2.0", id, error };
}
