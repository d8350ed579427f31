import {
  CancelTaskRequest,
  GetTaskRequest,
  ListTasksRequest,
  ListTasksResponse,
  SendMessageRequest,
  SendMessageResponse,
  StreamResponse,
  SubscribeToTaskRequest,
  Task,
} from "@a2a-js/sdk";
import type { RequestOptions, Transport } from "@a2a-js/sdk/client";
import { type DescMessage, fromJson, type JsonValue, type MessageShape, toJson } from "@bufbuild/protobuf";
import { CodedError } from "../../../core/errors.ts";
import * as pb from "../../../gen/lf/a2a/v1/a2a_pb.ts";
import type { RpcCallOptions, RpcClient } from "../../../rpc/rpc_client.ts";

/** As much of a transport of the A2A library as is used. */
export type A2aTransport =
  & Pick<
    Transport,
    "sendMessage" | "sendMessageStream" | "getTask" | "cancelTask" | "listTasks" | "resubscribeTask"
  >
  & Pick<Transport, "protocolVersion">;

/** After this time a stream is opened anew, in milliseconds: one whose other side is gone says nothing for ever. */
const MAX_STREAM_MS = 15 * 60_000;

const { method } = pb.A2AService;
const UNKNOWN = { ignoreUnknownFields: true };

/** The gRPC binding of A2A 1.0 over `client`. `headers` go with each call. */
export class GrpcTransport implements A2aTransport {
  readonly protocolVersion = "1.0";
  readonly #client: RpcClient;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;

  readonly #tenant: string;

  constructor(
    client: RpcClient,
    options: { headers: Readonly<Record<string, string>>; timeoutMs: number; tenant: string },
  ) {
    this.#client = client;
    this.#tenant = options.tenant ?? "";
    this.#headers = options.headers;
    this.#timeoutMs = options.timeoutMs;
  }

  async sendMessage(params: SendMessageRequest, options?: RequestOptions) {
    const request = toWire(
      pb.SendMessageRequestSchema,
      SendMessageRequest.toJSON({ ...params, tenant: this.#tenant }),
    );
    const answer = await this.#client.unary(method.sendMessage, request, this.#bounded(options));
    const { payload } = SendMessageResponse.fromJSON(toJson(pb.SendMessageResponseSchema, answer));
    if (payload === undefined) throw new CodedError("data_loss", "The agent answered a message with nothing");
    return payload.value;
  }

  async *sendMessageStream(params: SendMessageRequest, options?: RequestOptions) {
    const request = toWire(
      pb.SendMessageRequestSchema,
      SendMessageRequest.toJSON({ ...params, tenant: this.#tenant }),
    );
    yield* this.#events(this.#client.stream(method.sendStreamingMessage, request, this.#streaming(options)));
  }

  async getTask(params: GetTaskRequest, options?: RequestOptions): Promise<Task> {
    const request = toWire(
      pb.GetTaskRequestSchema,
      GetTaskRequest.toJSON({ ...params, tenant: this.#tenant }),
    );
    return fromTask(await this.#client.unary(method.getTask, request, this.#bounded(options)));
  }

  async cancelTask(params: CancelTaskRequest, options?: RequestOptions): Promise<Task> {
    const request = toWire(
      pb.CancelTaskRequestSchema,
      CancelTaskRequest.toJSON({ ...params, tenant: this.#tenant }),
    );
    return fromTask(await this.#client.unary(method.cancelTask, request, this.#bounded(options)));
  }

  async listTasks(params: ListTasksRequest, options?: RequestOptions): Promise<ListTasksResponse> {
    const request = toWire(
      pb.ListTasksRequestSchema,
      ListTasksRequest.toJSON({ ...params, tenant: this.#tenant }),
    );
    const answer = await this.#client.unary(method.listTasks, request, this.#bounded(options));
    return ListTasksResponse.fromJSON(toJson(pb.ListTasksResponseSchema, answer));
  }

  async *resubscribeTask(params: SubscribeToTaskRequest, options?: RequestOptions) {
    const request = toWire(
      pb.SubscribeToTaskRequestSchema,
      SubscribeToTaskRequest.toJSON({ ...params, tenant: this.#tenant }),
    );
    yield* this.#events(this.#client.stream(method.subscribeToTask, request, this.#streaming(options)));
  }

  async *#events(
    messages: AsyncIterable<pb.StreamResponse>,
  ): AsyncGenerator<StreamResponse, void, undefined> {
    for await (const message of messages) {
      yield StreamResponse.fromJSON(toJson(pb.StreamResponseSchema, message));
    }
  }

  #call({ signal, serviceParameters = {} }: RequestOptions = {}): RpcCallOptions {
    const own = Object.entries(serviceParameters).map(([name, value]) => [name.toLowerCase(), value]);
    return { signal, headers: { ...Object.fromEntries(own), ...this.#headers } };
  }

  #streaming(options?: RequestOptions): RpcCallOptions {
    return { ...this.#call(options), timeoutMs: MAX_STREAM_MS };
  }

  #bounded(options?: RequestOptions): RpcCallOptions {
    return { ...this.#call(options), timeoutMs: this.#timeoutMs };
  }
}

function toWire<D extends DescMessage>(schema: D, json: unknown): MessageShape<D> {
  return fromJson(schema, json as JsonValue, UNKNOWN);
}

function fromTask(task: pb.Task): Task {
  return Task.fromJSON(toJson(pb.TaskSchema, task));
}
