import type { AgentCard } from "@a2a-js/sdk";
import { CodedError } from "../../../core/errors.ts";
import type {
  CallOptions,
  RemoteAgent,
  RemoteEvent,
  RemoteTask,
  RemoteTurn,
  SendOptions,
} from "../remote_agent.ts";
import { type A2aAgentDeps, type A2aAgentOptions, openA2aAgent } from "./a2a_agent.ts";
import { isUnknownCall } from "./a2a_error.ts";
import { LegacyAgent } from "./legacy_agent.ts";

/**
 * An agent without a card: whatever JSON-RPC dialect it answers to, A2A 1.0, 0.3 or that of the existing network. A dialect
 * that it does not know is one in which it took nothing.
 */
export class GuessedAgent implements RemoteAgent {
  readonly description: string;
  readonly protocol = "a2a";
  readonly isIdempotent = false;
  readonly subscribe = undefined;
  readonly #dialects: readonly (() => Promise<RemoteAgent>)[];
  #known: RemoteAgent | undefined;

  constructor(url: URL, deps: A2aAgentDeps & A2aAgentOptions) {
    this.description = `an agent without a card at ${url.href}`;
    const open = (version: string) => () =>
      openA2aAgent(cardOf(url, version), { ...deps, cardUrl: url }, deps);
    this.#dialects = [open("1.0"), open("0.3"), () => Promise.resolve(new LegacyAgent(url, deps, deps))];
  }

  async *send(turn: RemoteTurn, options: SendOptions): AsyncIterable<RemoteEvent> {
    if (this.#known !== undefined) return yield* this.#known.send(turn, options);
    for (const dialect of this.#dialects) {
      const agent = await dialect();
      try {
        for await (const event of agent.send(turn, options)) {
          this.#known = agent;
          yield event;
        }
        return;
      } catch (error) {
        if (this.#known !== undefined || !isForeign(error)) throw error;
      }
    }
    throw new CodedError(
      "unimplemented",
      `There is no A2A agent at this URL: it shows no agent card and answers none of the known calls; check the URL`,
    );
  }

  async get(remoteTaskId: string, options: CallOptions): Promise<RemoteTask> {
    return await this.#ask((agent) => agent.get(remoteTaskId, options));
  }

  async cancel(remoteTaskId: string, options: CallOptions): Promise<RemoteTask> {
    return await this.#ask((agent) => agent.cancel(remoteTaskId, options));
  }

  async find(
    message: { contextId: string; messageId: string },
    options: CallOptions,
  ): Promise<RemoteTask | undefined> {
    return await this.#ask((agent) => agent.find(message, options));
  }

  async #ask<T>(question: (agent: RemoteAgent) => Promise<T>): Promise<T> {
    if (this.#known !== undefined) return await question(this.#known);
    let last: unknown;
    for (const dialect of this.#dialects) {
      const agent = await dialect();
      try {
        const answer = await question(agent);
        this.#known = agent;
        return answer;
      } catch (error) {
        if (!isForeign(error)) throw error;
        last = error;
      }
    }
    throw last;
  }
}

/** Whether the other side did not understand the call at all: it answered that it does not know it, or with a web page. */
function isForeign(error: unknown): boolean {
  return error instanceof CodedError &&
    (isUnknownCall(error) || (error.code === "data_loss" && error.details.sent === undefined));
}

function cardOf({ href }: URL, protocolVersion: string): AgentCard {
  return {
    name: "",
    description: "",
    supportedInterfaces: [{ url: href, protocolBinding: "JSONRPC", protocolVersion, tenant: "" }],
    provider: undefined,
    version: "",
    capabilities: { streaming: false, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: [],
    defaultOutputModes: [],
    skills: [],
    signatures: [],
  };
}
