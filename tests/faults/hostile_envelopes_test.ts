import assert from "node:assert/strict";
import type { EnvelopeBody, TaskStatus } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import { decodeEnvelope, encodeEnvelope } from "../../daemon/convert/envelope.ts";
import { FaultEngines } from "../support/fault_engines.ts";
import { LIFE_RESULT, lifeMessage, playLife } from "../support/fault_life.ts";
import { LIFE_SCRIPTS } from "../support/fault_life_scripts.ts";
import { createFaultRandom } from "../support/fault_random.ts";

const RANDOM_LIVES = 300;
const trace = { traceParent: "", traceState: "" };

Deno.test("a task keeps its promises when envelopes are lost, doubled, cut, and come late or out of order", async () => {
  for (let seed = 1; seed <= RANDOM_LIVES; seed++) {
    const random = createFaultRandom(seed);
    const script = random.pick(LIFE_SCRIPTS.filter(({ hasDeadline }) => !hasDeadline));
    const { problems } = await playLife(script, { random });
    assert.deepEqual(problems, [], `seed ${seed}: ${script.name}`);
  }
});

Deno.test("a task keeps its promises when the network fails and engines die", async () => {
  for (let seed = 1; seed <= RANDOM_LIVES; seed++) {
    const random = createFaultRandom(seed + 10_000);
    const script = random.pick(LIFE_SCRIPTS.filter(({ hasDeadline }) => !hasDeadline));
    const plans = () =>
      Array.from({ length: random.between(0, 2) }, () => ({
        commit: random.between(1, 5),
        when: random.pick(["before", "after"] as const),
      }));
    const deaths = { sender: plans(), receiver: plans() };
    const { problems } = await playLife(script, { random, deaths });
    assert.deepEqual(problems, [], `seed ${seed}: ${script.name} ${JSON.stringify(deaths)}`);
  }
});

/** What a peer may try on a task that is none of its own, or on the wrong side of one. */
function forgeries(taskId: string): EnvelopeBody[] {
  const statuses: TaskStatus[] = ["submitted", "working", "input_required", "canceled", "rejected"];
  const message = lifeMessage("forged", "agent");
  return [
    ...statuses.map((status) => ({ type: "status_update", taskId, status, message } as const)),
    { type: "complete", taskId, artifacts: [LIFE_RESULT], message },
    { type: "fail", taskId, errorMessage: "forged", message },
    { type: "cancel", taskId, status: "canceled", reason: "forged" },
    { type: "cancel", taskId, status: "failed", reason: "forged" },
    {
      type: "send_task",
      taskId,
      contextId: "",
      message: lifeMessage("forged", "user"),
      targetSkillId: "",
      metadata: {},
      deadlineMs: 0,
    },
    {
      type: "get_task_response",
      taskId,
      task: { status: "completed", messages: [message], artifacts: [LIFE_RESULT], errorMessage: "" },
    },
    { type: "get_task_response", taskId, task: undefined },
  ];
}

Deno.test("a stranger's envelopes change no task, and tell it nothing about one", async () => {
  await using net = new FaultEngines();
  for (const name of ["sender", "receiver", "stranger"]) await net.start(name);
  const message = lifeMessage("please", "user");
  await net.node("sender").engine.sendTask({ peerId: "receiver", taskId: "theirs", message });
  await net.settle();
  const before = [await net.view("sender", "theirs"), await net.view("receiver", "theirs")];
  net.arrived.length = 0;
  for (const to of ["sender", "receiver"]) {
    for (const body of [...forgeries("theirs"), { type: "get_task", taskId: "theirs" } as const]) {
      const envelope = { envelopeId: crypto.randomUUID(), timestampMs: 0, trace, body };
      const answer = await net.node(to).engine.receive("stranger", envelope);
      assert.equal(
        answer.outcome,
        body.type === "get_task" ? "taken" : "refused",
        `${body.type} to the ${to}`,
      );
    }
  }
  await net.settle();
  assert.deepEqual([await net.view("sender", "theirs"), await net.view("receiver", "theirs")], before);
  const told = net.arrived.map(({ envelope }) => envelope.body);
  assert.deepEqual(
    told,
    [1, 2].map(() => ({ type: "get_task_response", taskId: "theirs", task: undefined })),
  );
});

Deno.test("neither side of a task can do what is the other one's, and nothing follows the end", async () => {
  await using net = new FaultEngines();
  for (const name of ["sender", "receiver"]) await net.start(name);
  const message = lifeMessage("please", "user");
  await net.node("sender").engine.sendTask({ peerId: "receiver", taskId: "ours", message });
  await net.settle();
  const receive = async (to: string, from: string, body: EnvelopeBody) =>
    await net.node(to).engine.receive(from, { envelopeId: crypto.randomUUID(), timestampMs: 0, trace, body });
  for (const body of forgeries("ours")) {
    const isReport = body.type !== "cancel" && body.type !== "send_task";
    if (isReport) await receive("receiver", "sender", body);
    else await receive("sender", "receiver", body);
  }
  await net.settle();
  assert.equal((await net.view("sender", "ours"))?.status, "submitted");
  await net.node("receiver").engine.completeTask("ours", { artifacts: [LIFE_RESULT] });
  await net.settle();
  const ended = [await net.view("sender", "ours"), await net.view("receiver", "ours")];
  assert.deepEqual(ended.map((task) => task?.status), ["completed", "completed"]);
  for (const body of forgeries("ours")) {
    await receive("receiver", "sender", body);
    await receive("sender", "receiver", body);
  }
  await net.settle();
  assert.deepEqual([await net.view("sender", "ours"), await net.view("receiver", "ours")], ended);
});

Deno.test("decodeEnvelope() answers or throws invalid_argument, whatever was done to the bytes", () => {
  const random = createFaultRandom(1);
  for (const body of forgeries("a task")) {
    const whole = encodeEnvelope({ envelopeId: "e1", timestampMs: 0, trace, body });
    for (let round = 0; round < 200; round++) {
      const bytes = whole.slice(0, random.between(0, whole.length));
      for (let flips = random.between(0, 3); flips > 0 && bytes.length > 0; flips--) {
        bytes[random.between(0, bytes.length - 1)] = random.between(0, 255);
      }
      try {
        decodeEnvelope(bytes);
      } catch (error) {
        assert.ok(error instanceof CodedError && error.code === "invalid_argument", String(error));
      }
    }
  }
});
