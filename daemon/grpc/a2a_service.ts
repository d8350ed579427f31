import {
  type DescMessage,
  fromJson,
  type JsonValue as WireJson,
  type MessageShape,
} from "@bufbuild/protobuf";
import { CodedError } from "../../core/errors.ts";
import type { JsonValue } from "../../core/json.ts";
import * as pb from "../../gen/lf/a2a/v1/a2a_pb.ts";
import {
  createRpcService,
  type RpcContext,
  type RpcHandlers,
  type RpcService,
} from "../../rpc/rpc_service.ts";
import type { A2aCall, A2aTarget } from "../a2a_api/a2a_call.ts";
import { a2aError } from "../a2a_api/a2a_error.ts";
import type { A2aOperations } from "../a2a_api/a2a_operations.ts";
import type { AgentCards } from "../a2a_api/agent_cards.ts";
import type { Authenticator } from "../a2a_api/authenticate.ts";
import { readVersion } from "../a2a_api/read_version.ts";
import type { A2aEvent } from "../a2a_api/task_events.ts";
import { isPeerId } from "../../identity/mod.ts";

export interface A2aServiceDeps {
  operations: A2aOperations;
  cards: AgentCards;
  authenticator: Authenticator;
  /** Where callers reach the bridge over HTTP. */
  origin: () => string;
}

/**
 * The gRPC binding of A2A 1.0. The tenant of a request says which agent it is for: none or any other word is this node's
 * own, `agents/<peer id>` and `skills/<skill>` are those of the network, as in the paths of the other bindings.
 */
export function createA2aService(deps: A2aServiceDeps): RpcService {
  const { operations, cards } = deps;
  const callOf = (request: { tenant: string }, context: RpcContext) => beginCall(deps, request, context);
  const handlers: RpcHandlers<typeof pb.A2AService> = {
    sendMessage: (request, context) =>
      answer(pb.SendMessageResponseSchema, () => operations.sendMessage(request, callOf(request, context))),
    sendStreamingMessage: (request, context) =>
      answerEvents(() => operations.sendStreamingMessage(request, callOf(request, context))),
    getTask: (request, context) =>
      answer(pb.TaskSchema, () => operations.getTask(request, callOf(request, context))),
    listTasks: (request, context) =>
      answer(pb.ListTasksResponseSchema, () => operations.listTasks(request, callOf(request, context))),
    cancelTask: (request, context) =>
      answer(pb.TaskSchema, () => operations.cancelTask(request, callOf(request, context))),
    subscribeToTask: (request, context) =>
      answerEvents(() => operations.subscribeToTask(request, callOf(request, context))),
    createTaskPushNotificationConfig: (request, context) =>
      answer(
        pb.TaskPushNotificationConfigSchema,
        () => operations.createPushConfig(request, callOf(request, context)),
      ),
    getTaskPushNotificationConfig: (request, context) =>
      answer(
        pb.TaskPushNotificationConfigSchema,
        () => operations.getPushConfig(request, callOf(request, context)),
      ),
    listTaskPushNotificationConfigs: (request, context) =>
      answer(
        pb.ListTaskPushNotificationConfigsResponseSchema,
        () => operations.listPushConfigs(request, callOf(request, context)),
      ),
    deleteTaskPushNotificationConfig: async (request, context) => {
      await operations.deletePushConfig(request, callOf(request, context));
      return {};
    },
    getExtendedAgentCard: (request, context) =>
      answer(pb.AgentCardSchema, () => cards.extended(callOf(request, context))),
  };
  return createRpcService(pb.A2AService, handlers);
}

async function answer<D extends DescMessage>(
  schema: D,
  work: () => Promise<JsonValue>,
): Promise<MessageShape<D>> {
  return fromJson(schema, await work() as WireJson, { ignoreUnknownFields: true });
}

async function* answerEvents(begin: () => AsyncGenerator<A2aEvent>): AsyncGenerator<pb.StreamResponse> {
  for await (const { response } of begin()) yield fromJson(pb.StreamResponseSchema, response as WireJson);
}

/** @throws CodedError `unauthenticated`, VERSION_NOT_SUPPORTED, `invalid_argument`. */
function beginCall(
  { authenticator, origin }: A2aServiceDeps,
  { tenant }: { tenant: string },
  { metadata, signal }: RpcContext,
): A2aCall {
  const caller = authenticator.identify({ header: (name) => metadata.get(name), certificate: undefined });
  if (caller === undefined) {
    throw new CodedError("unauthenticated", "Credentials are missing or not known: see the agent card");
  }
  const version = readVersion(metadata.get("a2a-version"), "1.0");
  if (version !== "1.0") throw a2aError("VERSION_NOT_SUPPORTED", "The gRPC binding speaks A2A 1.0 alone");
  return {
    caller: `http:${caller}`,
    isAuthenticated: authenticator.isRequired,
    target: targetOf(tenant),
    origin: origin(),
    ...{ binding: "grpc", version },
    extensions: (metadata.get("a2a-extensions") ?? "").split(",").map((uri) => uri.trim()).filter(Boolean),
    trace: {
      traceParent: metadata.get("traceparent") ?? "",
      traceState: metadata.get("tracestate") ?? "",
    },
    signal,
  };
}

function targetOf(tenant: string): A2aTarget {
  const [, kind, name = ""] = /^(agents|skills)\/(.+)$/.exec(tenant) ?? [];
  if (kind === "agents") {
    if (isPeerId(name)) return { kind: "peer", peerId: name };
    // Else what is meant for another agent would be done by this node's own.
    throw new CodedError("invalid_argument", `The tenant ${tenant.slice(0, 80)} names no peer id`);
  }
  return kind === "skills" ? { kind: "skill", skillId: name } : { kind: "self" };
}
