import type { AgentCard, Engine, Task, TaskUpdate } from "../../a2a/mod.ts";
import { isTerminal } from "../../a2a/mod.ts";
import { type Clock, startTimer } from "../../core/clock.ts";
import { CodedError } from "../../core/errors.ts";
import { LOG_LEVELS, type LogLevel } from "../../core/log.ts";
import type { AdminService } from "../../gen/agentanycast/v1/admin_service_pb.ts";
import type { NodeService, SendTaskRequest } from "../../gen/agentanycast/v1/node_service_pb.ts";
import type { Webhook } from "../a2a_api/push/webhook_record.ts";
import type { TaskTarget } from "../agent_network.ts";
import { toCard } from "../convert/card.ts";
import {
  fromArtifact,
  fromDirection,
  fromMessage,
  fromStatus,
  toArtifact,
  toMessage,
  toStatus,
  toTask,
} from "../convert/task.ts";
import { fromTimestamp, toTimestamp } from "../convert/time.ts";
import { isAgentUrl } from "../remote/remote_agents.ts";
import { checkPeerId } from "./check_peer_id.ts";
import type { NodeServiceDeps } from "./node_service_deps.ts";
import type { RpcContext, RpcHandlers } from "../../rpc/rpc_service.ts";

/** How long `CancelTask` waits for the word of the assignee, in milliseconds. */
const CANCEL_WAIT_MS = 3_000;
const MAX_CLAIMS = 1_000;
/** How long a task waits for the card of its sender, in milliseconds: about as long as an exchange under way takes. */
const CARD_WAIT_MS = 200;

/** What a program asks about tasks it sends. */
export function taskClientHandlers({ engine, network, host, clock }: NodeServiceDeps) {
  const answer = (task: Task) => ({ task: toTask(task, host.peerId) });
  return {
    sendTask: async (request, { metadata: headers, signal }) => {
      if (request.message === undefined) {
        throw new CodedError("invalid_argument", "The request has no message");
      }
      const message = fromMessage(request.message, "user");
      const { taskId, contextId, targetSkillId, metadata, deadline } = request;
      const sent = {
        target: targetOf(request),
        message: { ...message, createdAtMs: message.createdAtMs || clock.now() },
        taskId,
        contextId,
        targetSkillId,
        metadata,
        deadlineMs: fromTimestamp(deadline),
        trace: {
          traceParent: headers.get("traceparent") ?? "",
          traceState: headers.get("tracestate") ?? "",
        },
      };
      return answer(await network.send(sent, { signal }));
    },
    getTask: async ({ taskId, refresh }, { signal }) =>
      answer(refresh ? await engine.refreshTask(taskId, { signal }) : await engine.getTask(taskId)),
    cancelTask: async ({ taskId }, { signal }) => {
      const task = await engine.cancelTask(taskId);
      if (isTerminal(task.status)) return answer(task);
      await untilEnd(engine, taskId, { signal, clock });
      return answer(await engine.getTask(taskId));
    },
    subscribeTaskUpdates: async function* ({ taskId, afterGeneration }, { signal }) {
      const after = afterGeneration === undefined ? undefined : Number(afterGeneration);
      for await (const update of engine.subscribe(taskId, { afterGeneration: after, signal })) {
        yield toUpdate(update);
      }
    },
  } satisfies Partial<RpcHandlers<typeof NodeService>>;
}

/** What an agent asks about tasks it works on. */
export function taskServerHandlers({ engine, host, cards, exchange, agents, clock }: NodeServiceDeps) {
  const wireCards = new WeakMap<AgentCard, ReturnType<typeof toCard>>();
  const toWireCard = (card: AgentCard) => {
    const known = wireCards.get(card) ?? toCard(card);
    wireCards.set(card, known);
    return known;
  };
  const optional = (message: SendTaskRequest["message"]) => message && fromMessage(message, "agent");
  return {
    subscribeIncomingTasks: async function* (request, { signal }) {
      const { exclusive, maxClaims, agentId, skillIds, otherTasks } = request;
      const role = agentId === "" ? undefined : { agentId, skills: skillIds, others: otherTasks };
      if (role !== undefined) agents.takesTasks(agentId);
      const options = { exclusive, signal, role, ...(maxClaims > 0 && { maxClaims }) };
      for await (const { task, claimId, leaseMs } of engine.subscribeIncoming(options)) {
        const card = await cards.of(task.peerId) ?? await cardAtHand({ exchange, clock }, task.peerId);
        yield {
          task: toTask(task, host.peerId),
          ...(card && { senderCard: toWireCard(card) }),
          ...(claimId !== "" && { claimId, claimLeaseMs: leaseMs }),
        };
      }
    },
    updateTaskStatus: async ({ taskId, status, message, claimId }) => {
      await engine.updateTask(taskId, { status: fromStatus(status), message: optional(message) }, {
        claimId,
      });
      return {};
    },
    completeTask: async ({ taskId, artifacts, message, claimId }) => {
      const result = { artifacts: artifacts.map(fromArtifact), message: optional(message) };
      await engine.completeTask(taskId, result, { claimId });
      return {};
    },
    failTask: async ({ taskId, errorMessage, claimId }) => {
      await engine.failTask(taskId, errorMessage || "The agent gave no reason", { claimId });
      return {};
    },
  } satisfies Partial<RpcHandlers<typeof NodeService>>;
}

/** `AdminService`. */
export function adminHandlers(
  { engine, host, requestStop, reload, logLevel, deadWebhooks }: NodeServiceDeps,
): Omit<RpcHandlers<typeof AdminService>, "attachAgent" | "detachAgent"> {
  return {
    listTasks: async ({ direction, statuses, pageSize, pageToken }) => {
      const wanted = fromDirection(direction);
      const page = await engine.listTasks({
        ...(wanted && { direction: wanted }),
        statuses: statuses.map(fromStatus),
        pageSize: pageSize > 0 ? pageSize : 50,
        pageToken,
      });
      return {
        tasks: page.tasks.map((task) => toTask(task, host.peerId)),
        nextPageToken: page.nextPageToken,
      };
    },
    renewClaims: ({ claimIds }) => {
      if (claimIds.length > MAX_CLAIMS) {
        throw new CodedError(
          "invalid_argument",
          `Cannot renew ${claimIds.length} claims: ${MAX_CLAIMS} at most`,
        );
      }
      return { lostClaimIds: engine.renewClaims(claimIds) };
    },
    setLogLevel: ({ level }) => {
      if (logLevel === undefined) {
        throw new CodedError(
          "unimplemented",
          "The log of this daemon cannot be changed: it is its program's",
        );
      }
      if (level !== "") logLevel.level = checkLogLevel(level);
      return { level: logLevel.level };
    },
    stopNode: () => {
      requestStop();
      return {};
    },
    reload: async () => {
      await reload();
      return {};
    },
    listDeadLetters: async ({ limit }) => ({
      deadLetters: (await deadWebhooks()).slice(0, limit > 0 ? Math.min(limit, 1_000) : 50).map(toDeadLetter),
    }),
  };
}

function checkLogLevel(level: string): LogLevel {
  const known = LOG_LEVELS.find((one) => one === level);
  if (known !== undefined) return known;
  throw new CodedError("invalid_argument", `No log level "${level}": take one of ${LOG_LEVELS.join(", ")}`);
}

/** The sender's card, unless it has to be asked for: a peer that does not answer must not hold up the tasks of others. */
async function cardAtHand(
  { exchange, clock }: Pick<NodeServiceDeps, "exchange" | "clock">,
  peerId: string,
): Promise<AgentCard | undefined> {
  const { promise: patience, resolve } = Promise.withResolvers<undefined>();
  using _timer = startTimer(clock, CARD_WAIT_MS, () => resolve(undefined));
  return await Promise.race([exchange.cardOf(peerId), patience]);
}

/** Waits for the end of the task, but not long. */
async function untilEnd(
  engine: Engine,
  taskId: string,
  { signal, clock }: Pick<RpcContext, "signal"> & { clock: Clock },
): Promise<void> {
  const patience = new AbortController();
  using _timer = startTimer(clock, CANCEL_WAIT_MS, () => patience.abort());
  const over = AbortSignal.any([patience.signal, signal]);
  for await (const { status } of engine.subscribe(taskId, { signal: over })) {
    if (isTerminal(status)) return;
  }
}

function toUpdate({ taskId, peerId, generation, status, message, artifacts, errorMessage }: TaskUpdate) {
  return {
    taskId,
    peerId,
    generation: BigInt(generation),
    status: toStatus(status),
    ...(message && { message: toMessage(message) }),
    artifacts: artifacts.map(toArtifact),
    errorMessage,
  };
}

function toDeadLetter({ taskId, id, url, deadReason, deadAtMs }: Webhook) {
  return { taskId, webhookId: id, url, reason: deadReason, givenUpAt: toTimestamp(deadAtMs) };
}

function targetOf({ target, skillTags }: SendTaskRequest): TaskTarget {
  switch (target.case) {
    case "peerId":
      // A further message of a task goes to whom the task is with, which may be an agent behind a URL.
      return isAgentUrl(target.value)
        ? { kind: "url", url: target.value }
        : { kind: "peer", peerId: checkPeerId(target.value) };
    case "skillId":
      return { kind: "skill", skillId: target.value, tags: skillTags };
    case "url":
      return { kind: "url", url: target.value };
    case undefined:
      throw new CodedError("invalid_argument", "The request has no target: name a peer id, a skill or a URL");
    default:
      return target satisfies never;
  }
}
