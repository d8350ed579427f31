import { NO_TRACE, silentTracer, traced, type Tracer } from "../core/tracer.ts";
import type { AgentCard, Engine, SendTask, Task } from "../a2a/mod.ts";
import { CodedError } from "../core/errors.ts";
import { VERSION } from "../core/version.ts";
import { orderedId } from "../core/ordered_id.ts";
import type { P2pHost } from "../p2p/mod.ts";
import type { DiscoverQuery, Discovery } from "./anycast/model.ts";
import type { CardBook } from "./cards.ts";
import type { CallerId } from "./routed_transport.ts";

/** Whom a task is for. */
export type TaskTarget =
  | { readonly kind: "peer"; readonly peerId: string }
  /** Any agent that has the skill, and all of the tags. */
  | { readonly kind: "skill"; readonly skillId: string; readonly tags?: Readonly<Record<string, string>> }
  /** An agent that is served over HTTP. */
  | { readonly kind: "url"; readonly url: string }
  /** The agent of this node; `caller` is who wants it to work. */
  | { readonly kind: "own"; readonly caller: CallerId };

/** A task for somebody, or a further message of one that waits for input. */
export interface NetworkTask extends Omit<SendTask, "peerId"> {
  readonly target: TaskTarget;
}

/** Sends tasks to those that some way of addressing leads to. Throws as `Engine.sendTask`. */
export type TargetSender<Kind extends TaskTarget["kind"]> = (
  target: TaskTarget & { kind: Kind },
  task: Omit<SendTask, "peerId">,
  options?: { signal?: AbortSignal | undefined },
) => Promise<Task>;

/** What {@link AgentNetwork} works with. */
export interface AgentNetworkDeps {
  engine: Engine;
  host: P2pHost;
  cards: Pick<CardBook, "own">;
  /** The card of a peer: the one at hand, else the one it answers with. */
  cardOf: (peerId: string, options?: { askAgain?: boolean }) => Promise<AgentCard | undefined>;
  /** Anycast: without it, skills are no targets and nothing is discovered. */
  anycast?: {
    send: TargetSender<"skill">;
    discover(query: DiscoverQuery, options?: { signal?: AbortSignal | undefined }): Promise<Discovery>;
  };
  /** Default none. */
  tracer?: Tracer;
  /** Without it, URLs are no targets. */
  sendToUrl?: TargetSender<"url">;
}

/** The agents that this node reaches, by whichever way they are addressed: the one door of all wires to them. */
export class AgentNetwork {
  readonly engine: Engine;
  readonly #deps: AgentNetworkDeps;

  constructor(deps: AgentNetworkDeps) {
    this.#deps = deps;
    this.engine = deps.engine;
  }

  get peerId(): string {
    return this.#deps.host.peerId;
  }

  /** The card of this node's agent, when one was set. */
  get ownCard(): AgentCard | undefined {
    return this.#deps.cards.own;
  }

  /** Creates a task, or goes on with one; once it resolves it is on disk. Throws as `Engine.sendTask`. */
  async send(
    { target, ...task }: NetworkTask,
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<Task> {
    const { tracer = silentTracer } = this.#deps;
    const span = tracer.start("a2a.send_task", {
      parent: task.trace,
      kind: "producer",
      attributes: { "a2a.target": target.kind },
    });
    return await traced(span, (trace) => this.#send(target, { ...task, trace }, options));
  }

  async #send(
    target: TaskTarget,
    task: Omit<SendTask, "peerId">,
    options: { signal?: AbortSignal | undefined },
  ): Promise<Task> {
    const { engine, anycast, sendToUrl } = this.#deps;
    switch (target.kind) {
      case "peer":
        return await engine.sendTask({ ...task, peerId: target.peerId });
      case "skill":
        if (anycast === undefined) throw unavailable("Sending to a skill", "name a peer id");
        return await anycast.send(target, task, options);
      case "url":
        if (sendToUrl === undefined) throw unavailable("Sending to a URL", "name a peer id");
        return await sendToUrl(target, task, options);
      case "own":
        return await this.#take(target.caller, task);
      default:
        return target satisfies never;
    }
  }

  /** The agents that fit `query`. @throws CodedError `unimplemented`, `invalid_argument`, `unavailable`. */
  async discover(
    query: DiscoverQuery,
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<Discovery> {
    const { anycast } = this.#deps;
    if (anycast === undefined) throw unavailable("Discovery by skill", "name a peer id");
    return await anycast.discover(query, options);
  }

  /** The card of a peer, or the own one; a peer that is not connected is dialed where it is known. */
  async cardOf(
    peerId: string,
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<AgentCard | undefined> {
    const { host, cards, cardOf } = this.#deps;
    if (peerId === host.peerId) return cards.own;
    const known = await cardOf(peerId);
    if (known !== undefined) return known;
    const { signal } = options;
    if (!host.isConnected(peerId)) await host.connect(peerId, [], signal === undefined ? {} : { signal });
    return await cardOf(peerId, { askAgain: true });
  }

  /** A task of a caller for this node's own agent. */
  async #take(caller: CallerId, request: Omit<SendTask, "peerId">): Promise<Task> {
    const { engine } = this.#deps;
    const { taskId = orderedId(), contextId = "", targetSkillId = "", metadata = {} } = request;
    const answer = await engine.receive(caller, {
      envelopeId: crypto.randomUUID(),
      timestampMs: Date.now(),
      trace: request.trace ?? NO_TRACE,
      body: {
        type: "send_task",
        ...{ taskId, contextId, targetSkillId, metadata, message: request.message },
        deadlineMs: request.deadlineMs ?? 0,
      },
    });
    switch (answer.outcome) {
      case "taken":
        return await engine.getTask(taskId);
      case "refused":
        throw new CodedError(answer.code ?? "failed_precondition", `Cannot take the task: ${answer.reason}`);
      case "busy":
        throw new CodedError(
          "resource_exhausted",
          `Cannot take the task now: ${answer.reason}; try again later`,
        );
      default:
        return answer satisfies never;
    }
  }
}

function unavailable(what: string, instead: string): CodedError {
  return new CodedError("unimplemented", `${what} is not available in version ${VERSION}: ${instead}`);
}
