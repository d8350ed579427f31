import type { Artifact, Message, Part, PartContent, TaskStatus } from "../../../a2a/mod.ts";
import { CodedError } from "../../../core/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../../core/json.ts";
import type { SafeFetch } from "../../../http/mod.ts";
import type { CallOptions, RemoteAgent, RemoteEvent, RemoteTask, RemoteTurn } from "../remote_agent.ts";
import { createAgentFetch } from "./agent_fetch.ts";

const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const METHOD_NOT_FOUND = -32601;

const STATUSES: Readonly<Record<string, TaskStatus>> = {
  "submitted": "submitted",
  "working": "working",
  "input-required": "input_required",
  "completed": "completed",
  "failed": "failed",
  "canceled": "canceled",
  "rejected": "rejected",
};

/**
 * An agent of the existing network's HTTP dialect: one method, `tasks/send`, by JSON-RPC. It streams nothing, and of a task
 * that its answer does not end, it is asked by `tasks/get`, which few of them know.
 */
export class LegacyAgent implements RemoteAgent {
  readonly description: string;
  readonly protocol = "a2a";
  readonly isIdempotent = false;
  readonly subscribe = undefined;
  readonly #url: URL;
  readonly #fetch: typeof fetch;

  constructor(url: URL, { safeFetch }: { safeFetch: SafeFetch }, options: { answerTimeoutMs: number }) {
    this.#url = url;
    this.description = `tasks/send at ${url.href}`;
    const { answerTimeoutMs: timeoutMs } = options;
    this.#fetch = createAgentFetch(
      safeFetch,
      { timeoutMs, idleMs: timeoutMs, maxBytes: MAX_ANSWER_BYTES },
      {},
    );
  }

  async *send(turn: RemoteTurn, { signal }: CallOptions): AsyncIterable<RemoteEvent> {
    const { message, remoteTaskId, taskId, targetSkillId, metadata } = turn;
    const params = {
      id: remoteTaskId || taskId,
      message: { role: "user", parts: message.parts.map(toPart) },
      ...(targetSkillId !== "" && { target_skill_id: targetSkillId }),
      metadata,
    };
    yield { kind: "task", task: this.#toTask(await this.#call("tasks/send", params, signal)) };
  }

  async get(remoteTaskId: string, { signal }: CallOptions): Promise<RemoteTask> {
    return this.#toTask(await this.#call("tasks/get", { id: remoteTaskId }, signal));
  }

  async cancel(remoteTaskId: string, { signal }: CallOptions): Promise<RemoteTask> {
    return this.#toTask(await this.#call("tasks/cancel", { id: remoteTaskId }, signal));
  }

  find(): Promise<undefined> {
    return Promise.reject(new CodedError("unimplemented", `${this.description} does not list its tasks`));
  }

  async #call(method: string, params: JsonObject, signal: AbortSignal): Promise<JsonObject> {
    const response = await this.#fetch(this.#url, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: crypto.randomUUID(), method, params }),
      signal,
    });
    const answer = await jsonOf(response);
    if (!isJsonObject(answer)) throw this.#senseless(`status ${response.status} without a JSON-RPC answer`);
    const { error, result } = answer;
    if (isJsonObject(error)) {
      const code = error.code === METHOD_NOT_FOUND ? "unimplemented" : "failed_precondition";
      throw new CodedError(code, `${this.description} refused: ${String(error.message ?? error.code)}`, {
        details: { envelopeCode: String(error.code) },
      });
    }
    if (!isJsonObject(result)) throw this.#senseless("an answer without a result");
    return result;
  }

  /** The flat shape of that network; a proper A2A status object is understood too. */
  #toTask(result: JsonObject): RemoteTask {
    const { id, status, messages, artifacts } = result;
    const name = isJsonObject(status) ? status.state : status;
    const known = STATUSES[String(name)];
    if (typeof id !== "string" || id === "" || known === undefined) {
      throw this.#senseless(`the task state ${JSON.stringify(name)}`);
    }
    const said = list(messages).map((one, index) => toMessage(one, `${id}/${index}`));
    const last = said.at(-1);
    return {
      remoteTaskId: id,
      contextId: "",
      status: known,
      message: last?.role === "agent" ? last : undefined,
      history: said,
      artifacts: list(artifacts).map(toArtifact),
    };
  }

  #senseless(what: string): CodedError {
    return new CodedError("data_loss", `${this.description} answered with ${what}: it is no A2A agent`);
  }
}

async function jsonOf(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The caller says what came instead.
  }
}

function list(value: JsonValue | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

function toMessage({ role, parts }: JsonObject, messageId: string): Message {
  return {
    messageId,
    role: role === "agent" ? "agent" : "user",
    parts: list(parts).map(fromPart),
    createdAtMs: Date.now(),
  };
}

function toArtifact({ artifact_id, artifactId, name, parts }: JsonObject): Artifact {
  return {
    artifactId: String(artifact_id ?? artifactId ?? ""),
    name: String(name ?? ""),
    parts: list(parts).map(fromPart),
  };
}

function fromPart({ text, data, url, filename }: JsonObject): Part {
  const content: PartContent = typeof text === "string" && text !== ""
    ? { kind: "text", text }
    : typeof url === "string" && url !== ""
    ? { kind: "url", url, filename: String(filename ?? "") }
    : isJsonObject(data)
    ? { kind: "data", data }
    : { kind: "text", text: "" };
  return { content, mediaType: "", metadata: {} };
}

function toPart({ content }: Part): JsonObject {
  switch (content.kind) {
    case "text":
      return { type: "text", text: content.text };
    case "url":
      return { type: "url", url: content.url, filename: content.filename };
    case "data":
      return { type: "data", data: content.data as JsonObject };
    case "raw":
      throw new CodedError("invalid_argument", "The agent takes no files: send a link or text instead");
    case "none":
      return { type: "text", text: "" };
    default:
      return content satisfies never;
  }
}
