import assert from "node:assert/strict";
import type { SendRequest, TaskRequest } from "../../a2a/mod.ts";
import { EngineNet, receiveFrom, sendTaskBody, textMessage } from "../support/engine_net.ts";

const denied = (reason: string) => ({ code: "permission_denied", reason }) as const;

Deno.test("receive() refuses a task that is not admitted, and its sender's task ends as rejected", async () => {
  await using net = new EngineNet();
  const a = await net.start("a");
  const b = await net.start("b", {
    admit: ({ skillId }) => skillId === "closed" ? denied("no entry") : undefined,
  });
  const message = textMessage("hi");
  const refused = await a.engine.sendTask({ peerId: "b", message, targetSkillId: "closed" });
  const taken = await a.engine.sendTask({ peerId: "b", message, targetSkillId: "open" });
  await net.settle();
  const { status, errorMessage } = await a.engine.getTask(refused.taskId);
  assert.deepEqual([status, errorMessage], ["rejected", "no entry"]);
  await assert.rejects(b.engine.getTask(refused.taskId), { code: "not_found" });
  assert.equal((await b.engine.getTask(taken.taskId)).status, "submitted");
});

Deno.test("receive() counts tasks that come at once before each is judged", async () => {
  await using net = new EngineNet();
  const admit = async ({ openTasks }: TaskRequest) => {
    await Promise.resolve();
    return openTasks >= 3 ? denied("too many") : undefined;
  };
  const b = await net.start("b", { admit });
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, i) => receiveFrom(b, "a", sendTaskBody(`t${i}`))),
  );
  assert.equal(answers.filter(({ outcome }) => outcome === "taken").length, 3);
  assert.equal(answers.filter(({ outcome }) => outcome === "refused").length, 7);
});

Deno.test("receive() takes the repetition of a task that it took, even when it admits nobody any more", async () => {
  await using net = new EngineNet();
  let open = true;
  const b = await net.start("b", { admit: () => open ? undefined : denied("closed") });
  assert.equal((await receiveFrom(b, "a", sendTaskBody("t"))).outcome, "taken");
  await b.engine.failTask("t", "over");
  await net.settle();
  open = false;
  assert.equal((await receiveFrom(b, "a", sendTaskBody("t"))).outcome, "taken");
  assert.equal((await receiveFrom(b, "a", sendTaskBody("u"))).outcome, "refused");
});

Deno.test("receive() asks about a further message too", async () => {
  await using net = new EngineNet();
  const asked: boolean[] = [];
  const admit = ({ isNew }: TaskRequest) => {
    asked.push(isNew);
    return isNew ? undefined : denied("no more");
  };
  const [a, b] = [await net.start("a"), await net.start("b", { admit })];
  const { taskId } = await a.engine.sendTask({ peerId: "b", message: textMessage("hi") });
  await net.settle();
  await b.engine.updateTask(taskId, { status: "input_required", message: textMessage("which?", "agent") });
  await net.settle();
  await a.engine.sendTask({ peerId: "b", taskId, message: { ...textMessage("this"), messageId: "m2" } });
  await net.settle();
  assert.deepEqual(asked, [true, false]);
  assert.equal((await b.engine.getTask(taskId)).status, "input_required");
});

Deno.test("sendTask() sends nothing that is not admitted, but answers the repetition of what it sent", async () => {
  await using net = new EngineNet();
  let open = true;
  const asked: string[] = [];
  const a = await net.start("a", {
    admitSend: ({ caller, peerId, skillId }) => {
      asked.push(`${caller} ${peerId} ${skillId}`);
      return open ? undefined : { code: "resource_exhausted", reason: "too fast" };
    },
  });
  await net.start("b");
  const request = { peerId: "b", message: { ...textMessage("hi"), messageId: "m" }, taskId: "t" };
  await a.engine.sendTask({ ...request, targetSkillId: "s" });
  open = false;
  await a.engine.sendTask(request);
  const refused = a.engine.sendTask({ ...request, taskId: "u", caller: "http:alice" });
  await assert.rejects(refused, {
    code: "resource_exhausted",
    message: "Cannot send the task to b: too fast",
  });
  await assert.rejects(a.engine.getTask("u"), { code: "not_found" });
  assert.deepEqual(asked, ["grpc:local b s", "http:alice b "]);
});

Deno.test("sendTask() counts what a caller has under way, also after a restart, and not what has ended", async () => {
  await using net = new EngineNet();
  const counts: number[] = [];
  const admitSend = ({ openTasks }: SendRequest) => {
    counts.push(openTasks);
    return openTasks >= 2 ? { code: "resource_exhausted", reason: "too many" } as const : undefined;
  };
  const a = await net.start("a", { admitSend });
  const b = await net.start("b");
  const send = (node: typeof a, caller: string) =>
    node.engine.sendTask({ peerId: "b", message: textMessage("hi"), caller }).then(
      ({ taskId }) => taskId,
      () => "",
    );
  const sent = await Promise.all([1, 2, 3, 4].map(() => send(a, "http:x")));
  const taken = sent.filter(Boolean);
  assert.equal(taken.length, 2);
  assert.notEqual(await send(a, "http:y"), "");
  await net.settle();
  await net.stop("a");
  const again = await net.start("a", { kv: a.kv, admitSend });
  assert.equal(await send(again, "http:x"), "");
  await b.engine.completeTask(taken[0]!, { artifacts: [] });
  await net.settle();
  assert.notEqual(await send(again, "http:x"), "");
  assert.equal(await send(again, "http:x"), "");
});
