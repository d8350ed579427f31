import { type Clock, systemClock } from "../../core/clock.ts";
import { CodedError, errorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { AgentCard, IncomingTask, Node } from "../../sdk/mod.ts";
import { safeText } from "../network/safe_text.ts";
import { elicitByTask } from "./elicit_by_task.ts";
import { toProxyCard } from "./proxy_card.ts";
import type { ServerAddress } from "./server_address.ts";
import type { ServerFacts, ServerLink } from "./server_link.ts";
import { toToolRequest } from "./tool_request.ts";
import { toOutcome } from "./tool_result.ts";

/** The place in the network that the server gets: a node of the SDK. */
export type ProxyNode = Pick<Node, "setCard" | "onTask">;

export interface ProxyDeps {
  readonly address: ServerAddress;
  readonly node: ProxyNode;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Told the card whenever it was set. */
  readonly onCard?: (card: AgentCard) => void;
}

/** Shortest time between two reports of progress, in milliseconds. */
const PROGRESS_MS = 1_000;
/** Calls of the server that run at once; more tasks wait. */
const MAX_CALLS = 16;

/**
 * Makes an MCP server an agent of the network: its tools are the skills of the node's card, and tasks are calls of them. The
 * server is started again when it ends, and the card follows its list of tools. Comes back when `signal` fires; throws what
 * keeps the server from its first start.
 */
export async function runMcpProxy(
  { address, node, logger, clock = systemClock, onCard = () => {} }: ProxyDeps,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const { ServerLink } = await import("./server_link.ts"); // a client of MCP, which servers do without
  let facts: ServerFacts | undefined;
  const link = new ServerLink({
    address,
    logger,
    clock,
    onFacts: async (news) => {
      const card = toProxyCard(news);
      if (facts === undefined || JSON.stringify(toProxyCard(facts)) !== JSON.stringify(card)) {
        await node.setCard(card);
      }
      facts = news;
      onCard(card);
    },
  });
  const remove = node.onTask(async (task) => {
    if (facts === undefined) {
      throw new CodedError("unavailable", "The MCP server behind this agent is starting");
    }
    await runTask(task, { link, facts, clock });
  }, { maxConcurrent: MAX_CALLS });
  try {
    await link.run({ signal });
  } finally {
    remove();
  }
}

async function runTask(
  task: IncomingTask,
  { link, facts, clock }: { link: ServerLink; facts: ServerFacts; clock: Clock },
): Promise<void> {
  let request;
  try {
    request = toToolRequest(task, facts.tools);
  } catch (error) {
    return await task.reject(errorMessage(error));
  }
  await task.updateStatus("working");
  const progress = new ProgressReports(task, clock);
  const result = await link.call(request, {
    signal: task.signal,
    onProgress: (text) => progress.report(text),
    ask: (params) => elicitByTask(task, params),
  });
  await progress.settled;
  const { artifact, failure } = toOutcome(request.name, result);
  if (failure === undefined) await task.complete(artifact);
  else await task.fail(failure);
}

/** Progress of a call as updates of its task, no more often than its sender can use. */
class ProgressReports {
  readonly #task: IncomingTask;
  readonly #clock: Clock;
  #lastMs = 0;
  /** Resolves when the last report has been sent. */
  settled: Promise<void> = Promise.resolve();

  constructor(task: IncomingTask, clock: Clock) {
    this.#task = task;
    this.#clock = clock;
  }

  report(text: string): void {
    const nowMs = this.#clock.now();
    if (nowMs - this.#lastMs < PROGRESS_MS) return;
    this.#lastMs = nowMs;
    this.settled = this.settled
      .then(() => this.#task.updateStatus("working", safeText(text, 500)))
      .catch(() => {}); // the task is over: its handler ends for that
  }
}
