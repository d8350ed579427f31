import assert from "node:assert/strict";
import { type AgentRun, type AgentTurn, toTaskHandler } from "../../../sdk/adapters/mod.ts";
import { FakeTask, said } from "./fake_task.ts";

Deno.test("toTaskHandler() streams what is written piece by piece, and completes with the whole", async () => {
  const fake = new FakeTask([said("Hi")]);
  const run: AgentRun = async function* ({ text }) {
    yield { status: "thinking" };
    for (const delta of ["You said ", text, ""]) yield { delta };
  };
  await toTaskHandler(run)(fake.task);
  assert.deepEqual(fake.log, ["working", "working thinking", "streamed", "complete"]);
  assert.equal(fake.streamed.join(""), "You said Hi");
  assert.deepEqual(fake.completed, [{
    artifactId: "output",
    name: "output",
    parts: [{ text: "You said Hi" }],
  }]);
});

Deno.test("toTaskHandler() completes all the same when the sender takes no streams", async () => {
  const fake = new FakeTask([said("Hi")], { streams: false });
  await toTaskHandler(async function* () {
    for (let piece = 0; piece < 100; piece++) yield { delta: "x".repeat(10_000) };
  })(fake.task);
  assert.equal(fake.completed[0]?.parts[0]?.text?.length, 1_000_000);
});

Deno.test("toTaskHandler() takes data as the answer, and hands a question back", async () => {
  const answered = new FakeTask([said("Hi")]);
  await toTaskHandler(async function* () {
    yield { data: { n: 1 } };
  })(answered.task);
  assert.deepEqual(answered.completed[0]?.parts, [{ data: { n: 1 } }]);
  const asked = new FakeTask([said("Hi")]);
  await toTaskHandler(async function* () {
    yield { question: "Which one?" };
  })(asked.task);
  assert.deepEqual(asked.log, ["working", "question Which one?"]);
});

Deno.test("toTaskHandler() throws what the agent throws, after the stream has ended", async () => {
  const fake = new FakeTask([said("Hi")]);
  const run: AgentRun = async function* () {
    yield { delta: "so far" };
    throw new Error("the model is gone");
  };
  await assert.rejects(async () => await toTaskHandler(run)(fake.task), /the model is gone/);
  assert.deepEqual(fake.log, ["working", "streamed"]);
});

Deno.test("toTaskHandler() stops asking the agent when nobody wants the answer any more", async () => {
  const fake = new FakeTask([said("Hi")]);
  let pieces = 0;
  const run: AgentRun = async function* () {
    while (true) {
      if (++pieces === 3) fake.stop.abort(new Error("cancelled"));
      yield { delta: "." };
    }
  };
  await assert.rejects(async () => await toTaskHandler(run)(fake.task), /cancelled/);
  assert.equal(pieces, 3);
});

Deno.test("toTaskHandler() gives the agent the last turn of the sender, with data as text when there is none", async () => {
  const turns: AgentTurn[] = [];
  const run: AgentRun = async function* (turn) {
    turns.push(turn);
    yield { text: "" };
  };
  const talk = [said("first"), { role: "agent" as const, parts: [{ text: "which?" }] }, said("second")];
  await toTaskHandler(run)(new FakeTask(talk).task);
  await toTaskHandler(run)(new FakeTask([{ role: "user", parts: [{ data: { a: 1 } }] }]).task);
  assert.deepEqual(turns.map(({ text, data, sessionId }) => [text, data, sessionId]), [
    ["second", undefined, "c1"],
    ['{"a":1}', { a: 1 }, "c1"],
  ]);
});
