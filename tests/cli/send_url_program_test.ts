// `send --url` of the real program, to an agent of the official A2A library.
import { deepEqual, equal, match } from "node:assert/strict";
import { startA2aServer } from "../support/a2a_server.ts";
import { tempDir } from "../support/temp_dir.ts";
import { ProgramRun, runProgram } from "./cli_harness.ts";

Deno.test("send --url brings a task to an A2A agent and prints its result, and a killed daemon goes on with it", async () => {
  await using home = await tempDir();
  await using server = await startA2aServer({ binding: "JSONRPC", version: "1.0" });
  const call = ["--home", home.path];
  const daemon = ["daemon", ...call, "--outbound-allow", "127.0.0.1"];
  {
    await using first = new ProgramRun(daemon);
    await first.stdoutLine(/^LISTEN_ADDR=/);
    const echoed = await runProgram(["send", "--url", server.url, "echo this", ...call]);
    equal(echoed.code, 0, echoed.stderr);
    match(echoed.stdout, /echo this/);
    const asked = await runProgram(["send", server.url, "ask me", "--task-id", "ask-1", ...call]);
    equal(asked.code, 12, asked.stderr);
    match(asked.stderr, /which one\?/);
    const sent = await runProgram([
      "send",
      "--url",
      server.url,
      "wait",
      "--task-id",
      "wait-1",
      "--no-wait",
      ...call,
    ]);
    equal(sent.code, 0, sent.stderr);
    await server.agent.waiting();
    first.kill("SIGKILL");
  }
  await using second = new ProgramRun(daemon);
  await second.stdoutLine(/^LISTEN_ADDR=/);
  server.agent.release();
  const watched = await runProgram(["task", "watch", "wait-1", ...call]);
  equal(watched.code, 0, watched.stderr);
  const replied = await runProgram(["task", "reply", "ask-1", "the red one", ...call]);
  equal(replied.code, 0, replied.stderr);
  match(replied.stdout, /thank you/);
  deepEqual(server.agent.executed, ["echo this", "ask me", "wait", "the red one"]);
});

Deno.test("send says what to do when the URL is no public address or there is another target", async () => {
  await using home = await tempDir();
  const call = ["--home", home.path];
  const refused = await runProgram(["send", "--url", "http://127.0.0.1:9", "hello", ...call]);
  equal(refused.code, 1, refused.stderr);
  match(refused.stderr + refused.stdout, /add http:\/\/127\.0\.0\.1:9 to outbound\.allow/);
  const twice = await runProgram(["send", "--url", "http://127.0.0.1:9", "12D3KooW", "hello", ...call]);
  equal(twice.code, 2, twice.stderr);
  match(twice.stderr, /--url is the target/);
});
