import assert from "node:assert/strict";
import { type AgentSays, processAgent, toTaskHandler } from "../../../sdk/adapters/mod.ts";
import { within } from "../../support/patience.ts";
import { FakeTask, said } from "./fake_task.ts";

/** A worker that does what the text of a task says. */
const WORKER = `
  import { createInterface } from "node:readline";
  const say = (line) => console.log(JSON.stringify(line));
  console.log("loading the crew");
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, text, data, cancel } = JSON.parse(line);
    if (cancel) { say({ id, error: "stopped" }); continue; }
    if (text === "talk") { for (let n = 0; n < 20_000; n++) say({ id, delta: String(n) }); }
    if (text === "die") process.exit(3);
    if (text === "wait") { say({ id, status: "waiting" }); continue; }
    if (text === "fail") { say({ id, error: "no idea" }); continue; }
    say({ id, delta: "You said " }); say({ id, delta: text });
    say(data ? { id, data } : { id, text: "You said " + text });
  }
`;

function openWorker() {
  const args = ["eval", `import process from "node:process";${WORKER}`];
  return processAgent({ command: Deno.execPath(), args, env: { NO_COLOR: "1" }, onStderr: () => {} });
}

async function answer(agent: ReturnType<typeof openWorker>, text: string): Promise<FakeTask> {
  const fake = new FakeTask([said(text)]);
  await toTaskHandler(agent.run)(fake.task);
  return fake;
}

Deno.test("processAgent() asks one process again and again, and starts it anew after it has died", async () => {
  await using agent = openWorker();
  const fake = await answer(agent, "Hello");
  assert.equal(fake.streamed.join(""), "You said Hello");
  assert.equal(fake.completed[0]?.parts[0]?.text, "You said Hello");
  await assert.rejects(answer(agent, "fail"), /no idea/);
  await assert.rejects(answer(agent, "die"), /ended \(exit code 3\) while it had the task/);
  assert.equal((await answer(agent, "again")).completed[0]?.parts[0]?.text, "You said again");
});

Deno.test("processAgent() tells the process when nobody wants the answer any more", async () => {
  await using agent = openWorker();
  const fake = new FakeTask([said("wait")]);
  const handled = Promise.resolve(
    toTaskHandler(async function* (turn) {
      for await (const says of agent.run(turn)) {
        yield says satisfies AgentSays;
        fake.stop.abort(new Error("cancelled"));
      }
    })(fake.task),
  );
  await assert.rejects(handled, /cancelled/);
  assert.equal((await answer(agent, "next")).completed.length, 1);
});

Deno.test("processAgent() loses no line of a program that talks faster than its task is read", async () => {
  await using agent = openWorker();
  const fake = await answer(agent, "talk");
  assert.deepEqual(fake.streamed.slice(0, 20_000), Array.from({ length: 20_000 }, (_, n) => String(n)));
  assert.equal(fake.completed[0]?.parts[0]?.text, "You said talk");
});

Deno.test("processAgent() ends also while a task that it talks about is not read", async () => {
  const agent = openWorker();
  const fake = new FakeTask([said("talk")]);
  await toTaskHandler(async function* (turn) {
    for await (const says of agent.run(turn)) {
      yield says;
      await within("the end of the program", Promise.resolve(agent[Symbol.asyncDispose]()), 30_000);
    }
  })(fake.task);
  assert.equal(fake.streamed[0], "0");
});

Deno.test("processAgent() fails a task whose program cannot be run", async () => {
  await using agent = processAgent({ command: "/nowhere/crew", onStderr: () => {} });
  await assert.rejects(
    async () => await toTaskHandler(agent.run)(new FakeTask([said("Hi")]).task),
    /Cannot run \/nowhere\/crew/,
  );
});
