import { deepEqual, equal, rejects } from "node:assert/strict";
import { followTask } from "../../cli/follow_task.ts";
import { Output } from "../../cli/output.ts";
import { printResult, saveResult } from "../../cli/task_result.ts";
import { describePart, describeTask, shorten } from "../../cli/task_text.ts";
import type { Part, Task, TaskHandle, TaskUpdate } from "../../sdk/mod.ts";
import { tempDir } from "../support/temp_dir.ts";
import { memorySink } from "./cli_harness.ts";

const RAW = new TextEncoder().encode("bytes");

function taskOf(parts: readonly Part[], options: Partial<Task> = {}): Task {
  return {
    taskId: "t1",
    contextId: "c1",
    status: "completed",
    messages: [{ role: "user", parts: [{ text: "question" }] }],
    artifacts: [{ name: "result", parts }],
    metadata: { a: "b" },
    ...options,
  };
}

function createOutput() {
  const stdout = memorySink();
  const stderr = memorySink();
  return { stdout, stderr, output: new Output({ stdout, stderr }) };
}

const PARTS: readonly (readonly [part: Part, lines: readonly string[]])[] = [
  [{ text: "a\nb\x1b" }, ["a", "b\\x1b"]],
  [{ data: { n: 1 } }, ["{", '  "n": 1', "}"]],
  [{ url: "https://x\x07", filename: "f", mediaType: "image/png" }, ["https://x\\x07 (f, image/png)"]],
  [{ url: "https://x" }, ["https://x"]],
  [{ raw: RAW, filename: "f\n" }, ["[file f\\x0a, 5 bytes]"]],
  [{ raw: RAW }, ["[file without a name, 5 bytes]"]],
  [{}, ["[empty part]"]],
];
for (const [part, lines] of PARTS) {
  Deno.test(`describePart() makes ${JSON.stringify(lines)} of ${Object.keys(part).join(" and ") || "nothing"}`, () => {
    deepEqual(describePart(part), lines);
  });
}

Deno.test("describeTask() tells facts, messages and results", () => {
  const lines = describeTask(taskOf([{ text: "answer" }], { error: "bad\x1b", peerId: "p" }));
  deepEqual(lines, [
    "Task:        t1",
    "Status:      completed",
    "Error:       bad\\x1b",
    "Peer:        p",
    "Context:     c1",
    "Metadata a:  b",
    "Message from the user",
    "  question",
    "Artifact result",
    "  answer",
  ]);
});

Deno.test("shorten() keeps one line of a bearable length", () => {
  equal(shorten("short"), "short");
  equal(shorten("first\nsecond"), "first…");
  equal(shorten("x".repeat(100)).length, 60);
});

Deno.test("printResult() prints content on stdout and tells of files on stderr", () => {
  const { stdout, stderr, output } = createOutput();
  printResult(taskOf([{ text: "answer" }, { raw: RAW, filename: "f" }, { url: "https://x" }]), output);
  equal(stdout.text, "answer\nhttps://x\n");
  equal(stderr.text, "[file f, 5 bytes]\n");
});

Deno.test("printResult() falls back on the agent's message when there are no artifacts", () => {
  const { stdout, stderr, output } = createOutput();
  const messages = [{ role: "agent" as const, parts: [{ text: "said" }] }];
  printResult(taskOf([], { artifacts: [], messages }), output);
  equal(stdout.text, "said\n");
  printResult(taskOf([], { artifacts: [], messages: [] }), output);
  equal(stderr.text, "The agent sent no result.\n");
});

Deno.test("printResult() keeps stdout empty when the task has not completed", () => {
  const { stdout, stderr, output } = createOutput();
  printResult(taskOf([{ text: "half" }], { status: "failed", error: "broke\x1b" }), output);
  equal(stdout.text, "");
  equal(stderr.text, "broke\\x1b\n");
});

Deno.test("saveResult() saves the files of all artifacts and says where", async () => {
  await using dir = await tempDir();
  const { stderr, output } = createOutput();
  await saveResult(
    taskOf([{ raw: RAW, filename: "../f" }, { text: "no file" }, { raw: RAW }]),
    dir.path,
    output,
  );
  equal(stderr.text, `Saved ${dir.path}/f\nSaved ${dir.path}/result\n`);
  equal(await Deno.readTextFile(`${dir.path}/f`), "bytes");
  await saveResult(taskOf([{ text: "none" }]), dir.path, output);
  equal(stderr.text.endsWith("The result has no files to save.\n"), true);
});

/** A handle with these updates; what is left of them is seen in `left`. */
function handleOf(updates: readonly Partial<TaskUpdate>[]) {
  const left = [...updates];
  const events = async function* () {
    for (let update = left.shift(); update !== undefined; update = left.shift()) {
      yield { taskId: "t1", status: "submitted", artifacts: [], ...update };
    }
  };
  return { left, handle: { events } as unknown as TaskHandle };
}

Deno.test("followTask() tells each change and ends with a question", async () => {
  const { stderr, output } = createOutput();
  const question = { role: "agent" as const, parts: [{ text: "which?\x1b" }] };
  const { handle, left } = handleOf([
    { status: "working" },
    { status: "input_required", message: question },
    { status: "completed" },
  ]);
  await followTask(handle, { signal: new AbortController().signal, output });
  const withoutTime = stderr.text.replaceAll(/^\d+\.\d s {2}/gm, "");
  equal(withoutTime, "working\ninput_required  which?\\x1b\n");
  equal(left.length, 1);
});

Deno.test("followTask() ends early when it is told to, and throws what the task's stream throws", async () => {
  const { output } = createOutput();
  const signal = new AbortController().signal;
  const { handle, left } = handleOf([{}, { status: "working" }, { status: "completed" }]);
  await followTask(handle, { signal, output, until: (status) => status !== "submitted" });
  equal(left.length, 1);
  const failing = {
    events: () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error("x")) }) }),
  };
  await rejects(followTask(failing as unknown as TaskHandle, { signal, output }), /x/);
});
