import { AgentCard, Message, StreamResponse, Task } from "@a2a-js/sdk";
import { legacyPushNotificationToV1StreamResponse } from "@a2a-js/sdk/compat/v0_3";
import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import {
  type A2aVersion,
  type CompatPart,
  type CompatTask,
  fromA2aArtifact,
  fromA2aMessage,
  fromA2aPart,
  fromA2aTask,
  toA2aArtifact,
  toA2aCard,
  toA2aMessage,
  toA2aPart,
  toA2aTask,
} from "../../../sdk/compat/mod.ts";
import { CARD, sent, TASK } from "./samples.ts";

const VERSIONS: readonly A2aVersion[] = ["1.0", "0.3", "legacy"];
const STATES = [
  ...["submitted", "working", "input_required", "auth_required"],
  ...["completed", "failed", "canceled", "rejected"],
] as const;

/** A task as an agent elsewhere writes it, with all that 1.0 has and the SDK has no place for. */
const FOREIGN_TASK = {
  id: "t",
  contextId: "c",
  status: {
    state: "TASK_STATE_INPUT_REQUIRED",
    timestamp: "2026-03-04T05:06:07.123456Z",
    message: {
      messageId: "q",
      role: "ROLE_AGENT",
      taskId: "t",
      contextId: "c",
      parts: [{ text: "Which day?" }],
    },
  },
  history: [{
    messageId: "m",
    role: "ROLE_USER",
    taskId: "t",
    contextId: "c",
    parts: [
      { text: "plan", metadata: { weight: 3, note: "text" } },
      { data: [1, 2, { three: true }], mediaType: "application/json" },
      { data: null },
      { data: "plain" },
      { raw: "AAEC/w==", filename: "x.bin" },
    ],
    metadata: { nested: { a: [1] }, plain: "text" },
    extensions: ["urn:example:ext"],
    referenceTaskIds: ["earlier"],
  }],
  artifacts: [{
    artifactId: "a",
    name: "n",
    description: "what it is",
    parts: [{ url: "https://example.com/x", mediaType: "text/html" }],
    metadata: { score: 0.5 },
    extensions: ["urn:example:ext"],
  }],
  metadata: { tenant: { id: 7 }, label: "x" },
};

Deno.test("toA2aTask() and fromA2aTask() lose nothing of a task, in each version", () => {
  const minimal: CompatTask = {
    taskId: "t",
    contextId: "",
    status: "working",
    messages: [],
    artifacts: [],
    metadata: {},
  };
  const tasks: CompatTask[] = [
    TASK,
    minimal,
    { ...TASK, status: "failed", error: "out of paper" },
    ...STATES.map((status) => ({ ...minimal, status })),
  ];
  for (const version of VERSIONS) {
    for (const task of tasks) {
      deepStrictEqual(
        fromA2aTask(sent(toA2aTask(task, { version })), { version }),
        task,
        `${version} ${task.status}`,
      );
    }
  }
});

Deno.test("fromA2aTask() and toA2aTask() lose nothing of the JSON of others, also by way of each older version", () => {
  deepStrictEqual(toA2aTask(fromA2aTask(FOREIGN_TASK)), FOREIGN_TASK);
  for (const version of VERSIONS) {
    const there = sent(toA2aTask(fromA2aTask(FOREIGN_TASK), { version }));
    deepStrictEqual(toA2aTask(fromA2aTask(there, { version })), FOREIGN_TASK, version);
  }
});

Deno.test("fromA2aTask() gives the last word of the status as the last message, and says why a task failed", () => {
  const asked = fromA2aTask(FOREIGN_TASK);
  strictEqual(asked.status, "input_required");
  strictEqual(asked.messages.at(-1)?.parts[0]?.text, "Which day?");
  const failed = toA2aTask({ ...TASK, messages: [], status: "failed", error: "out of paper" });
  deepStrictEqual((failed.status as { message: unknown }).message, {
    messageId: "task-1-reason",
    role: "ROLE_AGENT",
    parts: [{ text: "out of paper" }],
  });
});

Deno.test("toA2aTask() writes what the official SDK of A2A reads and writes again, for tasks, messages and cards", () => {
  const task = toA2aTask(TASK);
  deepStrictEqual(Task.toJSON(Task.fromJSON(task)), task);
  const written = toA2aTask(fromA2aTask(FOREIGN_TASK));
  // Its reader takes data that are null for none.
  const withoutNull = JSON.parse(JSON.stringify(written).replace('{"data":null},', ""));
  deepStrictEqual(Task.toJSON(Task.fromJSON(withoutNull)), withoutNull);
  const message = toA2aMessage(TASK.messages[0]!);
  deepStrictEqual(Message.toJSON(Message.fromJSON(message)), message);
  const card = toA2aCard(CARD, { url: "https://example.com/a2a" });
  deepStrictEqual(AgentCard.toJSON(AgentCard.fromJSON(card)), card);
});

Deno.test("toA2aTask() writes 0.3 that the official SDK of A2A reads as the same task", () => {
  const official = (json: unknown) => {
    const { task } = StreamResponse.toJSON(legacyPushNotificationToV1StreamResponse(json)) as {
      task: unknown;
    };
    return task;
  };
  // What it cannot say in 0.3: the media type of a text or of data, and the name of a text.
  const [first] = FOREIGN_TASK.history;
  const history = [{ ...first, parts: first!.parts.map(({ mediaType: _, ...part }) => part) }];
  const task = { ...FOREIGN_TASK, history };
  deepStrictEqual(official(sent(toA2aTask(fromA2aTask(task), { version: "0.3" }))), task);
});

Deno.test("toA2aPart() writes each version in its own words", () => {
  const raw: CompatPart = { raw: new Uint8Array([1, 255]), mediaType: "image/png" };
  const url: CompatPart = { url: "https://x.example/y", mediaType: "image/png", filename: "y" };
  const rows: [CompatPart, A2aVersion, unknown][] = [
    [{ text: "hi" }, "1.0", { text: "hi" }],
    [{ text: "hi" }, "0.3", { kind: "text", text: "hi" }],
    [{ text: "hi" }, "legacy", { type: "text", text: "hi" }],
    [raw, "1.0", { raw: "Af8=", mediaType: "image/png" }],
    [raw, "0.3", { kind: "file", file: { bytes: "Af8=", mimeType: "image/png" } }],
    [raw, "legacy", { type: "data", data: { raw: "01ff" }, metadata: { media_type: "image/png" } }],
    [url, "0.3", { kind: "file", file: { uri: url.url, name: "y", mimeType: "image/png" } }],
    [url, "legacy", { type: "file", file: { url: url.url, name: "y", mimeType: "image/png" } }],
    [{ data: { a: 1 } }, "1.0", { data: { a: 1 } }],
    [{ data: { a: 1 } }, "0.3", { kind: "data", data: { a: 1 } }],
    [{ data: { a: 1 } }, "legacy", { type: "data", data: { a: 1 } }],
  ];
  for (const [part, version, json] of rows) {
    deepStrictEqual(toA2aPart(part, { version }), json);
    deepStrictEqual(fromA2aPart(json, { version }), part);
  }
  throws(() => toA2aPart({ text: "a", url: "b" }), TypeError);
});

Deno.test("fromA2aTask() reads the loose forms that older agents write", () => {
  const task = fromA2aTask({
    id: "t",
    context_id: "c",
    status: "input_required",
    history: [{ message_id: "m", parts: [{ text: "no type" }] }],
    artifacts: [{ artifact_id: "a", parts: [] }],
  }, { version: "legacy" });
  deepStrictEqual(task, {
    taskId: "t",
    contextId: "c",
    status: "input_required",
    messages: [{ role: "user", messageId: "m", parts: [{ text: "no type" }] }],
    artifacts: [{ artifactId: "a", parts: [] }],
    metadata: {},
  });
  for (const state of ["constructor", "on-strike"]) {
    const odd = {
      kind: "task",
      id: "t",
      contextId: "c",
      status: { state },
      metadata: JSON.parse('{"__proto__":{"a":1}}'),
    };
    deepStrictEqual(toA2aTask(fromA2aTask(odd, { version: "0.3" }), { version: "0.3" }), odd);
  }
  const unknown = { kind: "task", id: "t", contextId: "c", status: { state: "unknown" } };
  strictEqual(fromA2aTask(unknown, { version: "0.3" }).status, "submitted");
  deepStrictEqual(toA2aTask(fromA2aTask(unknown, { version: "0.3" }), { version: "0.3" }), unknown);
});

Deno.test("toA2aMessage() and toA2aArtifact() name what has no id, and lose nothing in each version", () => {
  for (const version of VERSIONS) {
    const [message, artifact] = [TASK.messages[0]!, TASK.artifacts[0]!];
    deepStrictEqual(fromA2aMessage(sent(toA2aMessage(message, { version })), { version }), message);
    deepStrictEqual(fromA2aArtifact(sent(toA2aArtifact(artifact, { version })), { version }), artifact);
    strictEqual(typeof toA2aMessage({ role: "user", parts: [] }, { version }).messageId, "string");
    strictEqual(typeof toA2aArtifact({ parts: [] }, { version }).artifactId, "string");
  }
});

Deno.test("fromA2aTask() and the others refuse what is malformed, with invalid_argument", () => {
  const bad = { code: "invalid_argument" };
  for (const version of VERSIONS) {
    for (const json of [null, [], "x", {}, { id: 7 }, { id: "t", history: {} }, { id: "t", history: [7] }]) {
      throws(() => fromA2aTask(json, { version }), bad);
    }
    for (const json of [null, {}, { text: 7 }, { url: 7 }, { text: "a", url: "b" }]) {
      throws(() => fromA2aPart(json, { version }), bad);
    }
    throws(() => fromA2aMessage([], { version }), bad);
    throws(() => fromA2aArtifact({ parts: "x" }, { version }), bad);
  }
  throws(() => fromA2aPart({ raw: "not base64!" }), bad);
});
