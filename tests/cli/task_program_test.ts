// The task verbs of the real program, with real daemons and an agent of this process.
import { deepEqual, equal, match } from "node:assert/strict";
import { Node, type NodeOptions, type TaskHandler } from "../../sdk/mod.ts";
import { tempDir } from "../support/temp_dir.ts";
import { ProgramRun, runProgram } from "./cli_harness.ts";

interface Setup extends AsyncDisposable {
  readonly address: string;
  /** Home of the sender, on which a daemon runs. */
  readonly home: string;
  readonly dir: string;
  /** A node of the sender. */
  readonly sender: Node;
}

/** Two daemons, and `handler` as the agent of the first one. */
async function setUp(handler: TaskHandler, options: NodeOptions = {}): Promise<Setup> {
  await using stack = new AsyncDisposableStack();
  const { path: dir } = stack.use(await tempDir());
  const [a, b] = [`${dir}/a`, `${dir}/b`];
  const daemon = stack.use(new ProgramRun(["daemon", "--home", a]));
  const [, address = ""] = await daemon.stdoutLine(/^LISTEN_ADDR=(.+)$/);
  const other = stack.use(new ProgramRun(["daemon", "--home", b]));
  await other.stdoutLine(/^LISTEN_ADDR=(.+)$/);
  const agent = stack.use(new Node({ daemonAddr: `unix://${a}/daemon.sock`, ...options }));
  agent.onTask(handler);
  await agent.start();
  const sender = stack.use(new Node({ daemonAddr: `unix://${b}/daemon.sock` }));
  await sender.start();
  const held = stack.move();
  return { address, home: b, dir, sender, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

const askColor: TaskHandler = async (task) => {
  const answer = await task.ask("Which colour?");
  await task.complete(`${task.text}, ${answer.parts[0]?.text}: ${task.messages.length} messages`);
};

for (const exclusive of [false, true]) {
  Deno.test(`task reply answers a question, and the handler goes on, with exclusive ${exclusive}`, async () => {
    await using net = await setUp(askColor, { exclusive });
    const call = ["--home", net.home];
    const sent = await runProgram(["send", net.address, "Paint", "--task-id", "paint-1", ...call]);
    equal(sent.code, 12, sent.stderr);
    match(
      sent.stderr,
      /^The agent asks:\n {2}Which colour\?\nAnswer it: agentanycast task reply paint-1 '\.\.\.' --home/m,
    );
    const replied = await runProgram(["task", "reply", "paint-1", "blue", ...call]);
    equal(replied.code, 0, replied.stderr);
    equal(replied.stdout, "Paint\nWhich colour?\nblue, blue: 3 messages\n");
    const again = await runProgram(["task", "reply", "paint-1", "red", ...call]);
    equal(again.code, 7, again.stderr);
    const watched = await runProgram(["task", "watch", "paint-1", "--after", "0", "--json", ...call]);
    equal(watched.code, 0, watched.stderr);
    const updates = watched.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
    deepEqual(updates.map(({ generation }) => generation), updates.map((_, i) => i + 1));
    const statuses = updates.map(({ status }) => status);
    const changes = statuses.filter((status, i) => status !== statuses[i - 1]).join(" ");
    // A handler that asks at once may have done so before it was said to work.
    match(changes, /^submitted (working )?input_required working completed$/);
  });
}

Deno.test("requestInput() starts the handler again with the answer, also when its node is exclusive", async () => {
  const turns: number[] = [];
  await using net = await setUp((task) => {
    turns.push(task.messages.length);
    return turns.length === 1 ? task.requestInput("And?") : task.complete("fine");
  }, { exclusive: true });
  const { peerId } = await net.sender.connectPeer(net.address);
  const handle = await net.sender.sendTask("Well", { peerId });
  const question = await handle.wait().catch((error) => error);
  equal(question.message, "And?");
  await handle.reply("more");
  equal((await handle.wait()).status, "completed");
  deepEqual(turns, [1, 3]);
});

Deno.test("task artifact saves a streamed artifact while it comes and when it is stored", async () => {
  const rest = Promise.withResolvers<void>();
  const bytes = crypto.getRandomValues(new Uint8Array(40_000));
  await using net = await setUp(async (task) => {
    const data = async function* () {
      for (let i = 0; i < 64; i++) yield bytes;
      await rest.promise;
      yield bytes;
    }();
    await task.sendArtifact({ name: "big.bin", mediaType: "application/x-test", artifactId: "big", data });
    await task.sendArtifact({ name: "small.txt", data: "hello" });
    await task.complete("done");
  });
  const { peerId } = await net.sender.connectPeer(net.address);
  const handle = await net.sender.sendTask("Stream", { peerId });
  const streamed = `${net.dir}/streamed.bin`;
  const call = ["--home", net.home];
  const saving = runProgram(["task", "artifact", handle.taskId, "big.bin", "-o", streamed, ...call]);
  const seen: string[] = [];
  for await (const stream of handle.streams()) {
    rest.resolve();
    seen.push(`${stream.name} ${stream.mediaType} ${(await stream.bytes()).length}`);
  }
  deepEqual(seen, [`big.bin application/x-test ${65 * bytes.length}`, "small.txt text/plain 5"]);
  const saved = await saving;
  equal(saved.code, 0, saved.stderr);
  equal((await handle.wait()).artifacts.length, 3);

  const listed = await runProgram(["task", "artifact", handle.taskId, ...call]);
  match(listed.stdout, /^big +big\.bin +application\/x-test +2600000$/m);
  const stored = `${net.dir}/stored.bin`;
  const again = await runProgram(["task", "artifact", handle.taskId, "big", "-o", stored, "--json", ...call]);
  deepEqual(JSON.parse(again.stdout), { artifactId: "big", path: stored, bytes: 65 * bytes.length });
  deepEqual(await Deno.readFile(stored), await Deno.readFile(streamed));
  equal((await runProgram(["task", "artifact", handle.taskId, "big", "-o", stored, ...call])).code, 7);
  equal((await runProgram(["task", "artifact", handle.taskId, "none", ...call])).code, 5);
});

Deno.test("send() fails the task on both sides at its deadline, and the handler's signal fires", async () => {
  const fired = Promise.withResolvers<Date | undefined>();
  await using net = await setUp((task) =>
    new Promise((resolve) => {
      task.signal.addEventListener("abort", () => {
        fired.resolve(task.deadline);
        resolve();
      }, { once: true });
    })
  );
  const sent = await runProgram(["send", net.address, "Slow", "--deadline", "1s", "--home", net.home]);
  equal(sent.code, 1, sent.stderr);
  match(sent.stderr, /deadline/);
  equal((await fired.promise) instanceof Date, true);
});
