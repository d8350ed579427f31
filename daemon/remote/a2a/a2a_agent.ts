import type { AgentCard, AgentInterface } from "@a2a-js/sdk";
import {
  JsonRpcTransportFactory,
  type RequestOptions,
  RestTransportFactory,
  TenantTransportDecorator,
} from "@a2a-js/sdk/client";
import { CodedError } from "../../../core/errors.ts";
import type { SafeFetch } from "../../../http/mod.ts";
import { IDEMPOTENT_SEND } from "../../a2a_api/idempotent_send.ts";
import type {
  CallOptions,
  RemoteAgent,
  RemoteEvent,
  RemoteTask,
  RemoteTurn,
  SendOptions,
} from "../remote_agent.ts";
import { isUnknownCall, toRemoteError } from "./a2a_error.ts";
import type { GrpcClients } from "../grpc_clients.ts";
import { createAgentFetch } from "./agent_fetch.ts";
import { type A2aTransport, GrpcTransport } from "./grpc_transport.ts";
import { fromSendResult, fromStreamResponse, fromTask, toSendRequest } from "./convert.ts";

/** How long a call may take that an agent answers from what it knows, in milliseconds. */
const QUICK_MS = 30_000;
/** Longest silence on a stream, in milliseconds: its task is then looked at, and the stream opened anew. */
const STREAM_IDLE_MS = 5 * 60_000;
/** Most bytes of an answer, and of a stream before it is opened anew. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;
const MAX_STREAM_BYTES = 64 * 1024 * 1024;
/** The tasks that are looked at to find the one that a message has made. */
const NEWEST = {
  tenant: "",
  status: 0,
  pageSize: 50,
  pageToken: "",
  historyLength: 50,
  statusTimestampAfter: undefined,
} as const;

const HTTP_BINDINGS: Readonly<Record<string, typeof JsonRpcTransportFactory | typeof RestTransportFactory>> =
  {
    "JSONRPC": JsonRpcTransportFactory,
    "HTTP+JSON": RestTransportFactory,
  };
/** The bindings that are spoken, by their name in a card in upper case; gRPC only in 1.0. */
const BINDINGS = [...Object.keys(HTTP_BINDINGS), "GRPC"];

export interface A2aAgentDeps {
  readonly safeFetch: SafeFetch;
  readonly grpc: Pick<GrpcClients, "open">;
}

export interface A2aAgentOptions {
  /** How long an agent may take to answer a message when it does not stream, in milliseconds. */
  readonly answerTimeoutMs: number;
}

/**
 * The agent of a card, by the first of its interfaces that is spoken: those of 1.0 before those of 0.3, and none that falls
 * from https: to http:. @throws CodedError `unimplemented` when there is none.
 */
export async function openA2aAgent(
  card: AgentCard,
  { cardUrl, ...deps }: A2aAgentDeps & { cardUrl: URL },
  { answerTimeoutMs }: A2aAgentOptions,
): Promise<RemoteAgent> {
  const face = chooseInterface(card, cardUrl);
  const open = bindingOf(face) === "GRPC" ? openGrpc : openHttp;
  return new A2aAgent(card, face, {
    answering: await open(card, face, { ...deps, timeoutMs: answerTimeoutMs }),
    quick: await open(card, face, { ...deps, timeoutMs: QUICK_MS }),
  });
}

type OpenOptions = A2aAgentDeps & { readonly timeoutMs: number };

async function openHttp(
  card: AgentCard,
  face: AgentInterface,
  { safeFetch, timeoutMs }: OpenOptions,
): Promise<A2aTransport> {
  const stream = { timeoutMs: 0, idleMs: STREAM_IDLE_MS, maxBytes: MAX_STREAM_BYTES };
  const bounds = { timeoutMs, idleMs: timeoutMs, maxBytes: MAX_ANSWER_BYTES };
  const fetchImpl = createAgentFetch(safeFetch, bounds, stream);
  const factory = HTTP_BINDINGS[bindingOf(face)] ?? JsonRpcTransportFactory;
  const transport = await new factory({ fetchImpl, legacyCompat: { enabled: true } })
    .create(face.url, { ...card, supportedInterfaces: [face] });
  return face.tenant ? new TenantTransportDecorator(transport, face.tenant) : transport;
}

async function openGrpc(
  _card: AgentCard,
  { url, tenant }: AgentInterface,
  { grpc, timeoutMs }: OpenOptions,
): Promise<A2aTransport> {
  const { client, headers } = await grpc.open(new URL(url));
  return new GrpcTransport(client, { headers, timeoutMs, tenant });
}

function chooseInterface(card: AgentCard, cardUrl: URL): AgentInterface {
  const usable = (card.supportedInterfaces ?? []).flatMap((one) => {
    const isGrpc = bindingOf(one) === "GRPC";
    const url = isGrpc ? grpcUrlOf(one.url, cardUrl) : URL.parse(one.url, cardUrl);
    const falls = cardUrl.protocol === "https:" && url?.protocol !== "https:";
    const isSpoken = BINDINGS.includes(bindingOf(one)) && (!isGrpc || isVersion(one, "1"));
    return url === null || falls || !isSpoken ? [] : [{ ...one, url: url.href.replace(/\/$/, "") }];
  });
  const face = usable.find((one) => isVersion(one, "1")) ?? usable.find((one) => isVersion(one, "0"));
  if (face === undefined) throw unspoken(card, cardUrl);
  return face;
}

/** A gRPC address as cards have it: a URL, or `host:port`, which is spoken to as the card was. */
function grpcUrlOf(text: string, cardUrl: URL): URL | null {
  const [, scheme, rest = ""] = /^(?:([a-z]+):\/\/\/?)?([^/]+)\/?$/i.exec(text) ?? [];
  const secure = { https: true, grpcs: true, http: false, grpc: false }[scheme?.toLowerCase() ?? ""] ??
    cardUrl.protocol === "https:";
  return URL.parse(`${secure ? "https" : "http"}://${rest}`);
}

function bindingOf({ protocolBinding }: AgentInterface): string {
  return (protocolBinding ?? "").toUpperCase();
}

function isVersion({ protocolVersion }: AgentInterface, major: "0" | "1"): boolean {
  return (protocolVersion || "0.3").split(".")[0] === major;
}

function unspoken({ supportedInterfaces = [] }: AgentCard, { origin }: URL): CodedError {
  const offered = supportedInterfaces.map((one) => `${one.protocolBinding} ${one.protocolVersion}`).join(
    ", ",
  );
  return new CodedError(
    "unimplemented",
    `The agent at ${origin} offers ${offered || "no interface"}: this node speaks ` +
      `${BINDINGS.join(", ")} of A2A 1.x, and all but GRPC of 0.3`,
  );
}

interface Transports {
  /** For what an agent may think about. */
  readonly answering: A2aTransport;
  readonly quick: A2aTransport;
}

class A2aAgent implements RemoteAgent {
  readonly description: string;
  readonly protocol = "a2a";
  readonly isIdempotent: boolean;
  readonly subscribe: RemoteAgent["subscribe"];
  readonly #streams: boolean;
  readonly #transports: Transports;

  constructor({ capabilities }: AgentCard, face: AgentInterface, transports: Transports) {
    this.#transports = transports;
    this.#streams = capabilities?.streaming === true;
    this.isIdempotent = capabilities?.extensions?.some(({ uri }) => uri === IDEMPOTENT_SEND) ??
      false;
    this.description = `A2A ${face.protocolVersion || "0.3"} ${bindingOf(face)} at ${face.url}`;
    this.subscribe = this.#streams ? (id, options) => this.#subscribe(id, options) : undefined;
  }

  async *send(turn: RemoteTurn, { signal, mayStream }: SendOptions): AsyncIterable<RemoteEvent> {
    const { answering } = this.#transports;
    const request = toSendRequest(turn);
    const options = this.#options(signal, turn);
    let begun = false;
    try {
      if (this.#streams && mayStream) {
        for await (const event of answering.sendMessageStream(request, options)) {
          begun = true;
          yield fromStreamResponse(event);
        }
        if (begun) return;
        throw new CodedError("unavailable", `${this.description} ended its answer before it began`, {
          details: { sent: "maybe" },
        });
      }
    } catch (error) {
      const coded = toRemoteError(error, this.description);
      // A card may promise streams that its agent does not have. Any other refusal may come from a message half done.
      if (begun || !isUnknownCall(coded)) throw coded;
    }
    yield fromSendResult(await this.#call(() => answering.sendMessage(request, options)));
  }

  async get(remoteTaskId: string, { signal }: CallOptions): Promise<RemoteTask> {
    const request = { tenant: "", id: remoteTaskId };
    return fromTask(await this.#call(() => this.#transports.quick.getTask(request, this.#options(signal))));
  }

  async cancel(remoteTaskId: string, { signal }: CallOptions): Promise<RemoteTask> {
    const request = { tenant: "", id: remoteTaskId, metadata: undefined };
    return fromTask(
      await this.#call(() => this.#transports.quick.cancelTask(request, this.#options(signal))),
    );
  }

  async find(
    { contextId, messageId }: { contextId: string; messageId: string },
    { signal }: CallOptions,
  ): Promise<RemoteTask | undefined> {
    // An agent may have given the task a context of its own.
    for (const context of [contextId, ""]) {
      const request = { ...NEWEST, contextId: context };
      const { tasks } = await this.#call(() =>
        this.#transports.quick.listTasks(request, this.#options(signal))
      );
      const found = tasks.find(({ history }) => history?.some((message) => message.messageId === messageId));
      if (found !== undefined) return fromTask(found);
    }
    return undefined;
  }

  async *#subscribe(remoteTaskId: string, { signal }: CallOptions): AsyncIterable<RemoteEvent> {
    const request = { tenant: "", id: remoteTaskId };
    try {
      for await (const event of this.#transports.quick.resubscribeTask(request, this.#options(signal))) {
        yield fromStreamResponse(event);
      }
    } catch (error) {
      throw toRemoteError(error, this.description);
    }
  }

  #options(signal: AbortSignal, { trace }: Partial<Pick<RemoteTurn, "trace">> = {}): RequestOptions {
    return {
      signal,
      serviceParameters: {
        "A2A-Version": this.#transports.quick.protocolVersion,
        ...(trace?.traceParent && { traceparent: trace.traceParent }),
        ...(trace?.traceState && { tracestate: trace.traceState }),
      },
    };
  }

  async #call<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw toRemoteError(error, this.description);
    }
  }
}
