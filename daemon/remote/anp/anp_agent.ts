import type { Artifact, Part, PartContent, TaskStatus } from "../../../a2a/mod.ts";
import { TASK_STATUSES } from "../../../a2a/mod.ts";
import { CodedError } from "../../../core/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../../core/json.ts";
import { type RequestSigner, type SafeFetch, signRequest } from "../../../http/mod.ts";
import type { CallOptions, RemoteAgent, RemoteEvent, RemoteTask, RemoteTurn } from "../remote_agent.ts";
import { chooseMethod, type RpcMethod, toParams } from "./rpc_method.ts";

const MAX_ANSWER_BYTES = 32 * 1024 * 1024;
const METHOD_NOT_FOUND = -32601;

export interface AnpAgentDeps {
  readonly safeFetch: SafeFetch;
  /** The DID of this node, to show to agents that want to know who calls. */
  readonly signer: RequestSigner;
}

/** What an Agent Description and its OpenRPC interface say. */
export interface AnpInterface {
  readonly rpcUrl: URL;
  readonly methods: readonly RpcMethod[];
}

/**
 * An agent of ANP that is called by JSON-RPC: a task is the call of the method that is its skill, and the result of the call
 * is that of the task. Calls are signed by the DID of this node.
 */
export class AnpAgent implements RemoteAgent {
  readonly description: string;
  readonly protocol = "anp";
  readonly isIdempotent = false;
  readonly subscribe = undefined;
  readonly #face: AnpInterface;
  readonly #deps: AnpAgentDeps;
  readonly #answerTimeoutMs: number;

  constructor(face: AnpInterface, deps: AnpAgentDeps, options: { answerTimeoutMs: number }) {
    this.#face = face;
    this.#deps = deps;
    this.#answerTimeoutMs = options.answerTimeoutMs;
    this.description = `ANP at ${face.rpcUrl.href}`;
  }

  async *send(turn: RemoteTurn, options: CallOptions): AsyncIterable<RemoteEvent> {
    const { message, targetSkillId, remoteTaskId } = turn;
    const method = chooseMethod(this.#face.methods, targetSkillId);
    const result = await this.#call(
      method.name,
      toParams(method, message, { taskId: remoteTaskId }),
      options,
    );
    yield { kind: "task", task: toTask(result, { method: method.name, taskId: turn.taskId }) };
  }

  async get(remoteTaskId: string, options: CallOptions): Promise<RemoteTask> {
    return await this.#about("get_task", remoteTaskId, options);
  }

  async cancel(remoteTaskId: string, options: CallOptions): Promise<RemoteTask> {
    return await this.#about("cancel_task", remoteTaskId, options);
  }

  find(): Promise<undefined> {
    return Promise.reject(new CodedError("unimplemented", `${this.description} does not list its tasks`));
  }

  async #about(method: string, taskId: string, options: CallOptions): Promise<RemoteTask> {
    if (!this.#face.methods.some(({ name }) => name === method)) {
      throw new CodedError("unimplemented", `${this.description} has no method ${method}`);
    }
    return toTask(await this.#call(method, { task_id: taskId }, options), { method, taskId });
  }

  async #call(method: string, params: JsonValue, { signal }: CallOptions): Promise<JsonValue> {
    const url = this.#face.rpcUrl;
    const body = new TextEncoder().encode(
      JSON.stringify({ jsonrpc: "2.0", id: crypto.randomUUID(), method, params }),
    );
    const post = (nonce?: string) =>
      this.#deps.safeFetch(url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          accept: "application/json",
          ...signRequest(
            { method: "POST", url, body },
            this.#deps.signer,
            nonce === undefined ? {} : { nonce },
          ),
        },
        body,
        signal,
        redirect: "error", // It would not be what was signed.
        timeoutMs: this.#answerTimeoutMs,
        idleMs: this.#answerTimeoutMs,
        maxBytes: MAX_ANSWER_BYTES,
      });
    let response = await post();
    const nonce = /nonce="([^"]+)"/.exec(response.headers.get("www-authenticate") ?? "")?.[1];
    if (response.status === 401 && nonce !== undefined) {
      await response.body?.cancel();
      response = await post(nonce);
    }
    return this.#resultOf(response, await response.text());
  }

  #resultOf({ status }: Response, text: string): JsonValue {
    if (status === 401 || status === 403) {
      throw new CodedError(
        "unauthenticated",
        `${this.description} does not let this node's DID in (${status})`,
      );
    }
    if (status === 429 || status === 503) {
      throw new CodedError("resource_exhausted", `${this.description} is busy`);
    }
    const answer = parsed(text);
    if (!isJsonObject(answer)) {
      throw new CodedError("data_loss", `${this.description} answered with ${status} and no JSON-RPC`);
    }
    const { error, result } = answer;
    if (isJsonObject(error)) throw this.#refusal(error);
    if (result === undefined) {
      throw new CodedError("data_loss", `${this.description} answered without a result`);
    }
    return result;
  }

  #refusal({ code, message, data }: JsonObject): CodedError {
    const text = `${this.description}: ${typeof message === "string" ? message : "refused"}`;
    if (code === METHOD_NOT_FOUND) return new CodedError("unimplemented", text);
    if (code === -32602 || code === -32600) return new CodedError("invalid_argument", text);
    // The task was there and ended badly.
    if (isJsonObject(data) && data.status === "TASK_STATUS_FAILED") return new CodedError("internal", text);
    return new CodedError(code === -32603 ? "internal" : "failed_precondition", text);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The caller says what came instead.
  }
}

/** A result: the shape of the existing network where it has one, else a value that is the whole result of a finished task. */
function toTask(result: JsonValue, { method, taskId }: { method: string; taskId: string }): RemoteTask {
  const status = isJsonObject(result) ? statusOf(result.status) : undefined;
  if (!isJsonObject(result) || status === undefined) {
    return endedTask(taskId, [{ artifactId: "result", name: method, parts: [toPart(result)] }]);
  }
  const text = typeof result.text === "string" ? result.text : "";
  const artifacts = Array.isArray(result.artifacts)
    ? result.artifacts.filter(isJsonObject).map(toArtifact)
    : [];
  const isDone = status === "completed";
  const simple = isDone && artifacts.length === 0
    ? [{ artifactId: "result", name: method, parts: [textPart(text)] }]
    : artifacts;
  return {
    remoteTaskId: typeof result.task_id === "string" && result.task_id !== "" ? result.task_id : taskId,
    contextId: typeof result.context_id === "string" ? result.context_id : "",
    status,
    message: isDone || text === "" ? undefined : {
      messageId: `${String(result.task_id)} ${status} ${text}`.slice(0, 200),
      role: "agent",
      parts: [textPart(text)],
      createdAtMs: Date.now(),
    },
    history: [],
    artifacts: simple,
  };
}

function endedTask(remoteTaskId: string, artifacts: readonly Artifact[]): RemoteTask {
  return { remoteTaskId, contextId: "", status: "completed", message: undefined, history: [], artifacts };
}

function statusOf(value: JsonValue | undefined): TaskStatus | undefined {
  const name = typeof value === "string" ? value.replace(/^TASK_STATUS_/, "").toLowerCase() : "";
  return TASK_STATUSES.find((one) => one === name);
}

function toArtifact({ artifact_id, name, parts }: JsonObject): Artifact {
  return {
    artifactId: typeof artifact_id === "string" ? artifact_id : "",
    name: typeof name === "string" ? name : "",
    parts: Array.isArray(parts) ? parts.filter(isJsonObject).map(fromPart) : [],
  };
}

function fromPart({ text, data, url, bytes, filename, media_type }: JsonObject): Part {
  const name = typeof filename === "string" ? filename : "";
  const content: PartContent = typeof bytes === "string"
    ? { kind: "raw", data: fromBase64(bytes), filename: name }
    : typeof url === "string"
    ? { kind: "url", url, filename: name }
    : isJsonObject(data)
    ? { kind: "data", data }
    : { kind: "text", text: typeof text === "string" ? text : "" };
  return { content, mediaType: typeof media_type === "string" ? media_type : "", metadata: {} };
}

function toPart(value: JsonValue): Part {
  if (isJsonObject(value)) {
    return { content: { kind: "data", data: value }, mediaType: "application/json", metadata: {} };
  }
  return textPart(typeof value === "string" ? value : JSON.stringify(value));
}

function textPart(text: string): Part {
  return { content: { kind: "text", text }, mediaType: "text/plain", metadata: {} };
}

function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    throw new CodedError("data_loss", "The agent sent a file that is not base64: its server is at fault");
  }
}
