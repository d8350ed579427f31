import { type CodedError, toCodedError } from "../../core/errors.ts";
import { parseBoundedJson } from "../../core/bounded_json.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../core/json.ts";
import type { A2aCall, A2aVersion } from "../a2a_api/a2a_call.ts";
import { errorInfoOf, jsonRpcCodeOf } from "../a2a_api/a2a_error.ts";
import { read } from "../a2a_api/read_request.ts";
import type { A2aEvent } from "../a2a_api/task_events.ts";
import { toEventV03, toPushConfigV03, toTaskV03 } from "../a2a_api/v03/v03_json.ts";
import {
  fromListParamsV03,
  fromPushConfigIdV03,
  fromSendParamsV03,
  fromSetPushConfigV03,
} from "../a2a_api/v03/v03_requests.ts";
import type { BridgeDeps } from "./bridge_deps.ts";
import { sendLegacyTask } from "./legacy_dialect.ts";
import { toSse } from "./sse.ts";

/** A JSON-RPC request that is well formed. */
export interface RpcRequest {
  readonly id: string | number | null;
  readonly method: string;
  readonly params: JsonObject;
}

type Answer = JsonValue | AsyncGenerator<A2aEvent>;
type Method = (
  deps: BridgeDeps,
  params: JsonObject,
  call: A2aCall,
) => Promise<Answer> | AsyncGenerator<A2aEvent>;

/** The methods of A2A 1.0. */
const METHODS_1_0: Readonly<Record<string, Method>> = {
  SendMessage: ({ operations }, params, call) => operations.sendMessage(read.sendMessage(params), call),
  SendStreamingMessage: ({ operations }, params, call) =>
    operations.sendStreamingMessage(read.sendMessage(params), call),
  GetTask: ({ operations }, params, call) => operations.getTask(read.getTask(params), call),
  ListTasks: ({ operations }, params, call) => operations.listTasks(read.listTasks(params), call),
  CancelTask: ({ operations }, params, call) => operations.cancelTask(read.cancelTask(params), call),
  SubscribeToTask: ({ operations }, params, call) =>
    operations.subscribeToTask(read.subscribeToTask(params), call),
  CreateTaskPushNotificationConfig: ({ operations }, params, call) =>
    operations.createPushConfig(read.createPushConfig(params), call),
  GetTaskPushNotificationConfig: ({ operations }, params, call) =>
    operations.getPushConfig(read.getPushConfig(params), call),
  ListTaskPushNotificationConfigs: ({ operations }, params, call) =>
    operations.listPushConfigs(read.listPushConfigs(params), call),
  DeleteTaskPushNotificationConfig: async ({ operations }, params, call) => {
    await operations.deletePushConfig(
      read.deletePushConfig(params),
      call,
    );
    return {};
  },
  GetExtendedAgentCard: ({ cards }, _params, call) => cards.extended(call),
};

function of(answer: Promise<Answer> | AsyncGenerator<A2aEvent> | undefined): Promise<Answer> {
  if (answer === undefined) throw new TypeError("a method of 1.0 is missing");
  return Promise.resolve(answer as Answer);
}

const as1_0 = (method: string, deps: BridgeDeps, params: JsonObject, call: A2aCall) =>
  of(METHODS_1_0[method]?.(deps, params, call));
const task = async (answer: Promise<Answer>) => toTaskV03(await answer as JsonObject);
const webhook = async (answer: Promise<Answer>) => toPushConfigV03(await answer as JsonObject);

/** The methods of A2A 0.3, as translations of those of 1.0. */
const METHODS_0_3: Readonly<Record<string, Method>> = {
  "message/send": async (deps, params, call) => {
    const { task } = await as1_0("SendMessage", deps, fromSendParamsV03(params), call) as JsonObject;
    return toTaskV03(task as JsonObject);
  },
  "message/stream": (deps, params, call) =>
    as1_0("SendStreamingMessage", deps, fromSendParamsV03(params), call),
  "tasks/get": (deps, params, call) => task(as1_0("GetTask", deps, params, call)),
  "tasks/list": async (deps, params, call) => {
    const page = await as1_0("ListTasks", deps, fromListParamsV03(params), call) as JsonObject;
    return { ...page, tasks: (page.tasks as JsonObject[]).map(toTaskV03) };
  },
  "tasks/cancel": (deps, params, call) => task(as1_0("CancelTask", deps, params, call)),
  "tasks/resubscribe": (deps, params, call) => as1_0("SubscribeToTask", deps, params, call),
  "tasks/pushNotificationConfig/set": (deps, params, call) =>
    webhook(as1_0("CreateTaskPushNotificationConfig", deps, fromSetPushConfigV03(params), call)),
  "tasks/pushNotificationConfig/get": (deps, params, call) =>
    webhook(as1_0("GetTaskPushNotificationConfig", deps, fromPushConfigIdV03(params), call)),
  "tasks/pushNotificationConfig/list": async (deps, { id }, call) => {
    const params = id === undefined ? {} : { taskId: id };
    const { configs } = await as1_0("ListTaskPushNotificationConfigs", deps, params, call) as JsonObject;
    return (configs as JsonObject[]).map(toPushConfigV03);
  },
  "tasks/pushNotificationConfig/delete": async (deps, params, call) => {
    await as1_0("DeleteTaskPushNotificationConfig", deps, fromPushConfigIdV03(params), call);
    return null;
  },
  "agent/getAuthenticatedExtendedCard": ({ cards }, _params, call) => cards.extended(call),
  "tasks/send": (deps, params, call) => sendLegacyTask(deps, params, call),
};

const METHODS: Readonly<Record<A2aVersion, Readonly<Record<string, Method>>>> = {
  "0.3": METHODS_0_3,
  "1.0": METHODS_1_0,
};

/** The version that the method belongs to; undefined for a method of none. */
export function versionOfMethod(method: string): A2aVersion | undefined {
  if (Object.hasOwn(METHODS_1_0, method)) return "1.0";
  return Object.hasOwn(METHODS_0_3, method) ? "0.3" : undefined;
}

/** Answers a request; errors too are answers. */
export async function answerRpc(deps: BridgeDeps, request: RpcRequest, call: A2aCall): Promise<Response> {
  const { id, method, params } = request;
  const run = Object.hasOwn(METHODS[call.version], method) ? METHODS[call.version][method] : undefined;
  try {
    if (run === undefined) return rpcError(id, methodNotFound(method, call.version));
    const answer = await run(deps, params, call);
    if (!isStream(answer)) return Response.json({ jsonrpc: "2.0", id, result: answer });
    return await toSse(answer, {
      signal: call.signal,
      encode: ({ response, isFinal }) => ({
        jsonrpc: "2.0",
        id,
        result: call.version === "0.3" ? toEventV03(response, isFinal) : response,
      }),
      encodeError: (error) => toRpcError(deps, id, error),
    });
  } catch (error) {
    return Response.json(toRpcError(deps, id, error));
  }
}

function isStream(answer: Answer): answer is AsyncGenerator<A2aEvent> {
  return typeof answer === "object" && answer !== null && Symbol.asyncIterator in answer;
}

function methodNotFound(method: string, version: A2aVersion): JsonObject {
  const other = versionOfMethod(method);
  const hint = other === undefined ? "" : `: it is of A2A ${other}, say so with A2A-Version: ${other}`;
  return { code: -32601, message: `Method not found in A2A ${version}${hint}` };
}

/** An answer that says only what was wrong with the request. */
export function rpcError(id: RpcRequest["id"], error: JsonObject, status = 200): Response {
  return Response.json({ jsonrpc: "2.0", id, error }, { status });
}

function toRpcError({ logger }: BridgeDeps, id: RpcRequest["id"], thrown: unknown): JsonObject {
  const error = toCodedError(thrown);
  if (error.code === "internal") logger.error("An A2A request failed", { error });
  return { jsonrpc: "2.0", id, error: errorObject(error) };
}

/** The error object of a JSON-RPC answer. */
export function errorObject(error: CodedError): JsonObject {
  const data = errorInfoOf(error);
  return { code: jsonRpcCodeOf(error), message: error.message, ...(data.length > 0 && { data }) };
}

/** What the body of a request is: a request of JSON-RPC, or the answer that says why it is none. */
export function readRpc(text: string): RpcRequest | Response {
  let body: unknown;
  try {
    body = parseBoundedJson(text);
  } catch (error) {
    if (error instanceof RangeError) {
      return rpcError(null, { code: -32600, message: `Invalid request: ${error.message}` });
    }
    return rpcError(null, { code: -32700, message: "Parse error: the body is not JSON" });
  }
  if (!isJsonObject(body)) {
    const problem = Array.isArray(body) ? "batches are not taken" : "the body must be an object";
    return rpcError(null, { code: -32600, message: `Invalid request: ${problem}` });
  }
  const { jsonrpc, method, params = {}, id = null } = body;
  const isId = id === null || typeof id === "string" || (typeof id === "number" && Number.isFinite(id));
  const answerId = isId ? id : null;
  const refuse = (problem: string) =>
    rpcError(answerId, { code: -32600, message: `Invalid request: ${problem}` });
  if (jsonrpc !== "2.0") return refuse('jsonrpc must be "2.0"');
  if (!isId) return refuse("id must be a text, a number or null");
  if (typeof method !== "string" || method === "") return refuse("method must be a text");
  if (!isJsonObject(params)) {
    return rpcError(answerId, { code: -32602, message: "Invalid parameters: params must be an object" });
  }
  return { id, method, params };
}
