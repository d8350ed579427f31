import assert from "node:assert/strict";
import type { Engine } from "../../../a2a/mod.ts";
import { systemClock } from "../../../core/clock.ts";
import { taskServerHandlers } from "../../../daemon/grpc/task_handlers.ts";
import type { NodeServiceDeps } from "../../../daemon/grpc/node_service_deps.ts";
import type { SubscribeIncomingTasksRequest } from "../../../gen/agentanycast/v1/node_service_pb.ts";
import { EngineNet, receiveFrom, sendTaskBody } from "../../support/engine_net.ts";

const NO_CARDS = { of: () => Promise.resolve(undefined) };

/** What a subscriber gets of received tasks when cards are looked for by `cardOf`. */
function subscribe(engine: Engine, cardOf: NodeServiceDeps["exchange"]["cardOf"]) {
  const deps = {
    engine,
    host: { peerId: "b" },
    cards: NO_CARDS,
    exchange: { cardOf },
    clock: systemClock,
  } as unknown as NodeServiceDeps;
  const stop = new AbortController();
  const context = { signal: stop.signal, metadata: new Map<string, string>(), peer: "unix" };
  const request = { exclusive: false, maxClaims: 0, agentId: "" } as SubscribeIncomingTasksRequest;
  return { stop, items: taskServerHandlers(deps).subscribeIncomingTasks(request, context) };
}

Deno.test("subscribeIncomingTasks() hands out a task without its sender's card when that does not come soon", async () => {
  await using net = new EngineNet();
  const b = await net.start("b");
  const taskIds: string[] = [];
  for (const taskId of ["t1", "t2"]) await receiveFrom(b, "a", sendTaskBody(taskId));
  const { items, stop } = subscribe(b.engine, () => new Promise(() => {}));
  for (let count = 0; count < 2; count++) {
    const { value } = await items.next();
    assert.ok(value);
    assert.equal(value.senderCard, undefined);
    taskIds.push(value.task.taskId ?? "");
  }
  assert.deepEqual(taskIds, ["t1", "t2"]);
  stop.abort();
  await items.return(undefined);
});
