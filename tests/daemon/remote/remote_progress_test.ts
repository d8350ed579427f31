import assert from "node:assert/strict";
import type { Message, TaskStatus } from "../../../a2a/mod.ts";
import type { RemoteEvent } from "../../../daemon/remote/remote_agent.ts";
import { RemoteProgress } from "../../../daemon/remote/remote_progress.ts";

const said = (text: string, messageId = text): Message => ({
  messageId,
  role: "agent",
  parts: [{ content: { kind: "text", text }, mediaType: "", metadata: {} }],
  createdAtMs: 0,
});
const status = (now: TaskStatus, message?: Message): RemoteEvent => ({
  kind: "status",
  remoteTaskId: "r",
  contextId: "c",
  status: now,
  message,
});
const piece = (text: string, append: boolean, artifactId = "a"): RemoteEvent => ({
  kind: "artifact",
  remoteTaskId: "r",
  contextId: "c",
  artifact: { artifactId, name: "A", parts: said(text).parts },
  append,
});
const view = (
  now: TaskStatus,
  options: { message?: Message; history?: Message[]; results?: string[] } = {},
) => {
  const artifacts = (options.results ?? []).map((text) => ({
    artifactId: text,
    name: "",
    parts: said(text).parts,
  }));
  const { message, history = [] } = options;
  return {
    kind: "task",
    task: { remoteTaskId: "r", contextId: "c", status: now, message, history, artifacts },
  } as const;
};
const types = (bodies: ReturnType<RemoteProgress["take"]>) =>
  bodies.map((body) => body.type === "status_update" ? body.status : body.type);

Deno.test("RemoteProgress reports each state and message once", () => {
  const progress = new RemoteProgress("t");
  assert.deepEqual(types(progress.take(status("submitted"))), []);
  assert.deepEqual(types(progress.take(status("working", said("one")))), ["working"]);
  assert.deepEqual(types(progress.take(status("working", said("one")))), []);
  assert.deepEqual(types(progress.take(status("working", said("two")))), ["working"]);
  assert.deepEqual(
    types(progress.take(view("working", { message: said("two"), history: [said("one"), said("new")] }))),
    [
      "working",
    ],
  );
  assert.equal(progress.state, "going");
  assert.deepEqual(types(progress.take(status("auth_required"))), ["auth_required"]);
  assert.equal(progress.state, "waits");
  assert.deepEqual(types(progress.take(status("input_required", said("and?")))), ["input_required"]);
  assert.equal(progress.state, "asks");
});

Deno.test("RemoteProgress ends a task with what its stream brought, when nothing was missed", () => {
  const progress = new RemoteProgress("t");
  for (const event of [piece("a", false), piece("b", true), piece("c", false, "other")]) progress.take(event);
  const [end] = progress.take(status("completed", said("done")));
  assert.equal(end?.type, "complete");
  assert.deepEqual(
    end?.type === "complete" ? end.artifacts.map(({ artifactId, parts }) => [artifactId, parts.length]) : [],
    [["a", 2], ["other", 1]],
  );
  assert.equal(progress.state, "over");
});

Deno.test("RemoteProgress wants the whole at the end when something was missed, and does with what there is", () => {
  const missed = new RemoteProgress("t");
  missed.interrupted();
  missed.take(piece("late", true));
  assert.deepEqual(missed.take(status("completed")), []);
  assert.equal(missed.lacksResults, true);
  assert.deepEqual(types(missed.take(view("completed", { results: ["whole"] }))), ["complete"]);
  const forgotten = new RemoteProgress("t");
  forgotten.take(piece("late", true));
  forgotten.take(status("completed", said("done")));
  const [end] = forgotten.takeAsItIs();
  assert.equal(end?.type === "complete" && end.message?.messageId, "done");
});

Deno.test("RemoteProgress gathers no more than a bounded size, and takes the whole from the agent then", () => {
  const progress = new RemoteProgress("t");
  const large = "x".repeat(9 * 1024 * 1024);
  progress.take(piece(large, false));
  progress.take(piece(large, true));
  assert.deepEqual(progress.take(status("completed")), []);
  assert.equal(progress.lacksResults, true);
});

Deno.test("RemoteProgress does not take an answered question for a new one, for a while", () => {
  const progress = new RemoteProgress("t", { answered: new Set(["which?"]) });
  const question = view("input_required", { message: said("which?") });
  for (let look = 0; look < 5; look++) {
    progress.take(question);
    assert.equal(progress.state, "going");
  }
  assert.deepEqual(types(progress.take(question)), ["input_required"]);
  const other = new RemoteProgress("t", { answered: new Set(["which?"]) });
  assert.deepEqual(types(other.take(view("input_required", { message: said("and size?") }))), [
    "input_required",
  ]);
});

Deno.test("RemoteProgress gives a failure the reason that the agent names", () => {
  const [named] = new RemoteProgress("t").take(status("failed", said("out of paper")));
  assert.equal(named?.type === "fail" && named.errorMessage, "out of paper");
  const [silent] = new RemoteProgress("t").take(status("failed"));
  assert.match(silent?.type === "fail" ? silent.errorMessage : "", /gives no reason/);
});
