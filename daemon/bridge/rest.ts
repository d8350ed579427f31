import { parseBoundedJson } from "../../core/bounded_json.ts";
import { CodedError, toCodedError } from "../../core/errors.ts";
import type { JsonObject, JsonValue } from "../../core/json.ts";
import { isJsonObject } from "../../core/json.ts";
import type { A2aCall } from "../a2a_api/a2a_call.ts";
import { errorInfoOf, httpStatusOf, jsonRpcCodeOf } from "../a2a_api/a2a_error.ts";
import { invalid } from "../a2a_api/message_in.ts";
import { read } from "../a2a_api/read_request.ts";
import type { A2aEvent } from "../a2a_api/task_events.ts";
import { fromRestSendV03, fromSetPushConfigV03 } from "../a2a_api/v03/v03_requests.ts";
import { toRestPushConfigV03, toRestV03 } from "../a2a_api/v03/v03_rest_json.ts";
import type { BridgeDeps } from "./bridge_deps.ts";
import { toSse } from "./sse.ts";

/** A request of the REST binding, taken apart. */
export interface RestRequest {
  readonly operation: RestOperation;
  /** Id of the task, where the path names one. */
  readonly taskId: string;
  /** Id of the webhook, where the path names one. */
  readonly configId: string;
  readonly query: URLSearchParams;
  /** Text of the body; empty without one. */
  readonly body: string;
  /** Whether the answer may be `application/a2a+json`. */
  readonly takesA2aJson: boolean;
}

/** What can be asked for. */
export type RestOperation =
  | "send"
  | "stream"
  | "get"
  | "list"
  | "cancel"
  | "subscribe"
  | "create_webhook"
  | "get_webhook"
  | "list_webhooks"
  | "delete_webhook"
  | "extended_card";

/** Answers a request of the REST binding, in the version of its call; errors too are answers. */
export async function answerRest(deps: BridgeDeps, request: RestRequest, call: A2aCall): Promise<Response> {
  try {
    const events = streamOf(deps, request, call);
    if (events !== undefined) return await answerEvents(deps, events, call);
    const result = await resultOf(deps, request, call);
    if (result === undefined) return new Response(null, { status: 204 });
    const isLegacy = call.version === "0.3";
    const type = request.takesA2aJson && !isLegacy ? "application/a2a+json" : "application/json";
    return Response.json(isLegacy ? toV03(request.operation, result) : result, {
      headers: { "content-type": type },
    });
  } catch (error) {
    return restError(deps, error, call);
  }
}

function streamOf(
  { operations }: BridgeDeps,
  request: RestRequest,
  call: A2aCall,
): AsyncGenerator<A2aEvent> | undefined {
  switch (request.operation) {
    case "stream":
      return operations.sendStreamingMessage(
        read.sendMessage(sendParams(request, call)),
        call,
      );
    case "subscribe":
      return operations.subscribeToTask(
        read.subscribeToTask({ id: request.taskId }),
        call,
      );
    default:
      return undefined;
  }
}

async function resultOf(
  { operations, cards }: BridgeDeps,
  request: RestRequest,
  call: A2aCall,
): Promise<JsonObject | undefined> {
  const { operation, taskId, configId, query } = request;
  switch (operation) {
    case "send":
      return await operations.sendMessage(
        read.sendMessage(sendParams(request, call)),
        call,
      );
    case "get":
      return await operations.getTask(
        read.getTask({ id: taskId, ...numbersOf(query, ["historyLength"]) }),
        call,
      );
    case "list":
      return await operations.listTasks(read.listTasks(listParams(query)), call);
    case "cancel": {
      const { metadata } = readBody(request);
      const params = { id: taskId, ...(metadata !== undefined && { metadata }) };
      return await operations.cancelTask(read.cancelTask(params), call);
    }
    case "create_webhook": {
      const body = readBody(request);
      const params = call.version === "0.3" ? fromRestPushConfigV03(body) : body;
      const config = { ...params, taskId };
      return await operations.createPushConfig(
        read.createPushConfig(config),
        call,
      );
    }
    case "get_webhook": {
      const params = { taskId, id: configId };
      return await operations.getPushConfig(
        read.getPushConfig(params),
        call,
      );
    }
    case "list_webhooks": {
      const pageToken = query.get("pageToken") ?? "";
      const params = { taskId, pageToken, ...numbersOf(query, ["pageSize"]) };
      return await operations.listPushConfigs(
        read.listPushConfigs(params),
        call,
      );
    }
    case "delete_webhook":
      await operations.deletePushConfig(
        read.deletePushConfig({ taskId, id: configId }),
        call,
      );
      return undefined;
    case "extended_card":
      return await cards.extended(call);
    default:
      throw new TypeError(`${operation} answers a stream`);
  }
}

function sendParams(request: RestRequest, { version }: A2aCall): JsonObject {
  const body = readBody(request);
  return version === "0.3" ? fromRestSendV03(body) : body;
}

/** A named resource: the id is at the end of the name. */
function fromRestPushConfigV03(body: JsonObject): JsonObject {
  const { config = body } = body;
  if (!isJsonObject(config)) return {};
  const read = fromSetPushConfigV03(config);
  const named = /\/pushNotificationConfigs\/([^/]+)$/.exec(String(config.name ?? ""))?.[1];
  const id = body.configId ?? body.config_id ?? named;
  return read.id === undefined && id !== undefined ? { ...read, id } : read;
}

function listParams(query: URLSearchParams): JsonObject {
  const texts = ["contextId", "status", "pageToken", "statusTimestampAfter"]
    .flatMap((name) => query.get(name) ? [[name, query.get(name)]] : []);
  const includeArtifacts = query.get("includeArtifacts") ?? "";
  if (includeArtifacts !== "" && includeArtifacts !== "true" && includeArtifacts !== "false") {
    throw invalid("includeArtifacts", "must be true or false");
  }
  return {
    ...Object.fromEntries(texts),
    ...numbersOf(query, ["pageSize", "historyLength"]),
    includeArtifacts: includeArtifacts === "true",
  };
}

function numbersOf(query: URLSearchParams, names: readonly string[]): JsonObject {
  return Object.fromEntries(names.flatMap((name) => {
    const text = query.get(name);
    if (text === null || text === "") return [];
    if (!/^-?\d{1,9}$/.test(text)) throw invalid(name, "must be a whole number");
    return [[name, Number(text)]];
  }));
}

function readBody({ body }: RestRequest): JsonObject {
  // Clients exist that send null for nothing.
  if (body === "" || body === "null") return {};
  let parsed: unknown;
  try {
    parsed = parseBoundedJson(body);
  } catch (error) {
    const problem = error instanceof RangeError ? error.message : "the body is not JSON";
    throw new CodedError("invalid_argument", `Invalid request: ${problem}`);
  }
  if (isJsonObject(parsed)) return parsed;
  throw new CodedError("invalid_argument", "Invalid request: the body must be an object");
}

function toV03(operation: RestOperation, result: JsonObject): JsonValue {
  switch (operation) {
    case "create_webhook":
    case "get_webhook":
      return toRestPushConfigV03(result);
    case "list_webhooks":
      return { ...result, configs: (result.configs as JsonObject[]).map(toRestPushConfigV03) };
    case "extended_card":
      return result;
    default:
      return toRestV03(result);
  }
}

async function answerEvents(
  deps: BridgeDeps,
  events: AsyncGenerator<A2aEvent>,
  call: A2aCall,
): Promise<Response> {
  return await toSse(events, {
    signal: call.signal,
    encode: ({ response, isFinal }) => call.version === "0.3" ? toRestV03(response, isFinal) : response,
    encodeError: (error) => errorBody(deps, error, call).body,
  });
}

/** An error as the REST binding answers it. */
export function restError(
  deps: Pick<BridgeDeps, "logger">,
  thrown: unknown,
  call: Pick<A2aCall, "version">,
): Response {
  const { status, body } = errorBody(deps, thrown, call);
  return Response.json(body, { status });
}

function errorBody(
  { logger }: Pick<BridgeDeps, "logger">,
  thrown: unknown,
  { version }: Pick<A2aCall, "version">,
): { status: number; body: JsonObject } {
  const error = toCodedError(thrown);
  if (error.code === "internal") logger.error("An A2A request failed", { error });
  const status = httpStatusOf(error);
  const { message } = error;
  if (version === "0.3") return { status, body: { code: jsonRpcCodeOf(error), message } };
  // As google.rpc.Status is told over HTTP (AIP-193).
  const name = error.code === "cancelled" ? "CANCELLED" : error.code.toUpperCase();
  return { status, body: { error: { code: status, status: name, message, details: errorInfoOf(error) } } };
}
