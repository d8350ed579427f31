import { NodeService } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { createRpcClient } from "../../rpc/rpc_client.ts";
import { checkHistory, type FaultVerdict, isSound } from "./fault_checker.ts";
import { type SenderEntry, taskText } from "./fault_history.ts";
import { FaultNet, type FaultNetOptions } from "./fault_net.ts";

/** What became of tasks for a peer that was away. */
export interface OfflineResult {
  readonly verdict: FaultVerdict;
  /** Tasks whose handler was started after that of a task that was sent later by more than the agent handles at once. */
  readonly outOfOrder: number;
  readonly sendSeconds: number;
  /** From the start of the receiver to the last answer. */
  readonly deliverSeconds: number;
}

/** The agent's handlers at once, which may overtake each other. */
const HANDLED_TOGETHER = 16;
const CALL_TIMEOUT_MS = 60_000;
const POLL_MS = 500;

/** Queues `tasks` tasks at a real daemon while their receiver is down, starts that, and waits until all are answered. */
export async function deliverOffline(
  options: Pick<FaultNetOptions, "folder" | "program">,
  { tasks, settleMs }: { tasks: number; settleMs: number },
): Promise<OfflineResult> {
  await using net = await FaultNet.prepare({ ...options, kinds: ["echo"] });
  await net.senderDaemon.start();
  const beganMs = Date.now();
  const sender = await queue(net, tasks);
  const sentMs = Date.now();
  await net.senderDaemon.kill();
  await Promise.all([net.senderDaemon.start(), net.receiverDaemon.start()]);
  const startedMs = Date.now();
  await net.agent.start();
  for (;;) {
    const { handlers } = await net.journals();
    const finished = handlers.filter(({ phase }) => phase === "end").length;
    const isLate = Date.now() - startedMs > settleMs;
    if (finished >= tasks || isLate) {
      const verdict = checkHistory({ sender, handlers, faults: [], ...await net.views() });
      if (isSound(verdict) || isLate) {
        const starts = handlers.flatMap(({ phase, taskId }) => phase === "start" ? [taskId] : []);
        return {
          verdict,
          outOfOrder: countOutOfOrder(sender.map(({ taskId }) => taskId), starts),
          sendSeconds: (sentMs - beganMs) / 1000,
          deliverSeconds: (Date.now() - startedMs) / 1000,
        };
      }
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Sends one after the other, so that there is an order; answers what was accepted. */
async function queue(net: FaultNet, tasks: number): Promise<SenderEntry[]> {
  const { daemonAddr, peerId } = net.sending;
  using rpc = createRpcClient(daemonAddr);
  const sent: SenderEntry[] = [];
  for (let index = 0; index < tasks; index++) {
    const taskId = crypto.randomUUID();
    const text = taskText(index, "echo");
    await rpc.unary(NodeService.method.sendTask, {
      target: { case: "peerId", value: peerId },
      message: { parts: [{ content: { case: "textPart", value: { text } } }] },
      taskId,
      targetSkillId: "faults",
    }, { timeoutMs: CALL_TIMEOUT_MS });
    sent.push({ phase: "sent", taskId, text, atMs: Date.now() });
  }
  return sent;
}

/** How many of `seen` come after one that is more than {@link HANDLED_TOGETHER} places behind them in `wanted`. */
function countOutOfOrder(wanted: readonly string[], seen: readonly string[]): number {
  const places = new Map(wanted.map((taskId, place) => [taskId, place]));
  let highest = -1;
  let late = 0;
  for (const taskId of seen) {
    const place = places.get(taskId) ?? -1;
    if (place + HANDLED_TOGETHER < highest) late++;
    highest = Math.max(highest, place);
  }
  return late;
}
