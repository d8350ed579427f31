import assert from "node:assert/strict";
import { eventsOf, type Json, message, type TestBridge } from "../../support/test_bridge.ts";
import { bridgeSteps } from "../../support/bridge_steps.ts";

function toTools10({ rest }: TestBridge) {
  const sendOne = async (text: string, more: Json = {}) =>
    (await rest("POST", "/message:send", { body: message(text, more) })).json.task;
  return { rest, sendOne };
}

const v10 = bridgeSteps("the bridge speaks REST of A2A 1.0", toTools10);

v10.step("message:send, tasks/{id} and tasks", async ({ rest }) => {
  const { status, headers, json } = await rest("POST", "/message:send", { body: message("hi") });
  assert.deepEqual([status, headers.get("content-type")], [200, "application/json"]);
  const { id } = json.task;
  const got = await rest("GET", `/tasks/${id}?historyLength=0`);
  assert.deepEqual([got.json.id, got.json.history], [id, undefined]);
  const list = await rest("GET", "/tasks?pageSize=1&includeArtifacts=true&status=TASK_STATE_COMPLETED");
  assert.deepEqual([list.json.tasks[0].id, list.json.pageSize, list.json.nextPageToken], [id, 1, ""]);
  assert.equal(list.json.tasks[0].artifacts.length, 1);
});

v10.step("answers are application/a2a+json for who asks for it", async ({ rest }) => {
  const headers = { "a2a-version": "1.0", accept: "application/a2a+json" };
  const asked = await rest("POST", "/message:send", { body: message("hi"), headers });
  assert.equal(asked.headers.get("content-type"), "application/a2a+json");
  const sent = { "a2a-version": "1.0", "content-type": "application/a2a+json" };
  assert.equal((await rest("POST", "/message:send", { body: message("hi"), headers: sent })).status, 200);
});

v10.step("message:stream and tasks/{id}:subscribe, by GET and POST", async ({ rest, sendOne }) => {
  const answer = await rest("POST", "/message:stream", { body: message("progress") });
  assert.match(answer.headers.get("content-type") ?? "", /^text\/event-stream/);
  const events = eventsOf(answer).map(({ data }) => data);
  assert.ok("task" in events[0]);
  assert.equal(events.at(-1).statusUpdate.status.state, "TASK_STATE_COMPLETED");
  for (const method of ["GET", "POST"]) {
    const { id } = await sendOne("input-required");
    const following = rest(method, `/tasks/${id}:subscribe`);
    await sendOne("answer", { taskId: id });
    assert.equal(eventsOf(await following).at(-1)!.data.statusUpdate.status.state, "TASK_STATE_COMPLETED");
    const over = await rest(method, `/tasks/${id}:subscribe`);
    assert.deepEqual([over.status, over.json.error.details[0].reason], [400, "UNSUPPORTED_OPERATION"]);
  }
});

v10.step("tasks/{id}:cancel, with and without a body", async ({ rest }) => {
  for (const options of [{}, { body: { metadata: { why: "test" } } }]) {
    const body = message("hold", {}, { returnImmediately: true });
    const { id } = (await rest("POST", "/message:send", { body })).json.task;
    const { json } = await rest("POST", `/tasks/${id}:cancel`, options);
    assert.deepEqual([json.id, json.status.state], [id, "TASK_STATE_CANCELED"]);
    const again = await rest("POST", `/tasks/${id}:cancel`);
    assert.deepEqual([again.status, again.json.error.status], [400, "FAILED_PRECONDITION"]);
  }
});

v10.step("pushNotificationConfigs", async ({ rest, sendOne }) => {
  const { id } = await sendOne("hi");
  const path = `/tasks/${id}/pushNotificationConfigs`;
  const config = {
    id: "c",
    url: "https://hooks.example/a",
    authentication: { scheme: "Bearer", credentials: "x" },
  };
  const made = await rest("POST", path, { body: config });
  assert.deepEqual([made.status, made.json], [200, { ...config, taskId: id }]);
  assert.deepEqual((await rest("GET", `${path}/c`)).json, made.json);
  const named = await rest("POST", path, { body: { url: "https://hooks.example/b" } });
  assert.match(named.json.id, /^[0-9a-f-]{36}$/);
  const page = (await rest("GET", `${path}?pageSize=1`)).json;
  assert.equal(page.configs.length, 1);
  assert.equal((await rest("GET", `${path}?pageToken=${page.nextPageToken}`)).json.configs.length, 1);
  for (let i = 0; i < 2; i++) assert.equal((await rest("DELETE", `${path}/c`)).status, 204);
  assert.equal((await rest("GET", `${path}/c`)).status, 404);
  assert.equal((await rest("POST", "/tasks/none/pushNotificationConfigs", { body: config })).status, 404);
});

v10.step("errors are google.rpc.Status with the reason of A2A", async ({ rest }) => {
  const { status, headers, json } = await rest("GET", "/tasks/none");
  assert.deepEqual([status, headers.get("content-type")], [404, "application/json"]);
  assert.deepEqual(json, {
    error: {
      code: 404,
      status: "NOT_FOUND",
      message: "Task none not found",
      details: [{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        reason: "TASK_NOT_FOUND",
        domain: "a2a-protocol.org",
      }],
    },
  });
  const rows: [string, string, Json, number, string | undefined][] = [
    ["POST", "/message:send", {}, 400, undefined],
    ["POST", "/message:send", "{", 400, undefined],
    [
      "POST",
      "/message:send",
      message("x", { parts: [{ raw: "", mediaType: "x/strange" }] }),
      400,
      "CONTENT_TYPE_NOT_SUPPORTED",
    ],
    ["POST", "/message:send", message("x", { taskId: "none" }), 404, "TASK_NOT_FOUND"],
    ["GET", "/tasks?pageSize=0", undefined, 400, undefined],
    ["GET", "/tasks?pageSize=abc", undefined, 400, undefined],
    ["GET", "/tasks?status=DONE", undefined, 400, undefined],
    ["GET", "/tasks?statusTimestampAfter=yesterday", undefined, 400, undefined],
    ["GET", "/tasks?includeArtifacts=maybe", undefined, 400, undefined],
    ["GET", "/tasks/none?historyLength=x", undefined, 400, undefined],
    ["POST", "/tasks/none:cancel", undefined, 404, "TASK_NOT_FOUND"],
    ["GET", "/extendedAgentCard", undefined, 400, "UNSUPPORTED_OPERATION"],
    ["GET", "/no/such/path", undefined, 404, undefined],
  ];
  for (const [method, path, body, code, reason] of rows) {
    const answer = await rest(method, path, body === undefined ? {} : { body });
    assert.deepEqual([answer.status, answer.json.error.code, answer.json.error.details[0]?.reason], [
      code,
      code,
      reason,
    ], path);
  }
  const version = await rest("GET", "/tasks", { headers: { "a2a-version": "7.0" } });
  assert.deepEqual([version.status, version.json.error.details[0].reason], [400, "VERSION_NOT_SUPPORTED"]);
  const type = { "a2a-version": "1.0", "content-type": "text/plain" };
  const plain = await rest("POST", "/message:send", { body: message("x"), headers: type });
  assert.deepEqual([plain.status, plain.json.error.details[0].reason], [400, "CONTENT_TYPE_NOT_SUPPORTED"]);
});

v10.step("paths below a tenant lead to the own agent too", async ({ rest }) => {
  const { json } = await rest("POST", "/acme/message:send", { body: message("hi") });
  assert.equal((await rest("GET", `/acme/tasks/${json.task.id}`)).json.id, json.task.id);
});

function toTools03(bridge: TestBridge) {
  const rest = (method: string, path: string, body?: Json) =>
    bridge.rest(method, path, { headers: {}, ...(body !== undefined && { body }) });
  return { rest };
}

/** A body that sends a text in A2A 0.3. */
function send(text: string, more?: Json, configuration?: Json): Json {
  return {
    message: { role: "ROLE_USER", messageId: crypto.randomUUID(), content: [{ text }], ...more },
    ...(configuration !== undefined && { configuration }),
  };
}

const v03 = bridgeSteps("the bridge speaks REST of A2A 0.3", toTools03);

v03.step("tasks and their parts", async ({ rest }) => {
  const content = [
    { text: "parts" },
    { file: { fileWithBytes: "AP8H", mimeType: "application/octet-stream", name: "b" } },
    { file: { fileWithUri: "https://files.example/c" } },
    { data: { data: { a: 1 } } },
  ];
  const { status, json } = await rest("POST", "/v1/message:send", send("", { content }));
  assert.equal(status, 200);
  assert.equal(json.task.status.state, "TASK_STATE_COMPLETED");
  assert.deepEqual(json.task.history[0].content, content);
  assert.equal((await rest("GET", `/v1/tasks/${json.task.id}`)).json.id, json.task.id);
  const held = (await rest("POST", "/v1/message:send", send("hold", {}, { blocking: false }))).json.task;
  const canceled = await rest("POST", `/v1/tasks/${held.id}:cancel`, "null");
  assert.equal(canceled.json.status.state, "TASK_STATE_CANCELLED");
  const none = await rest("GET", "/v1/tasks/none");
  assert.deepEqual([none.status, none.json.code], [404, -32001]);
});

v03.step("streams", async ({ rest }) => {
  const events = eventsOf(await rest("POST", "/v1/message:stream", send("progress"))).map(({ data }) => data);
  assert.ok("task" in events[0]);
  assert.equal(events.at(-1).statusUpdate.final, true);
});

v03.step("webhooks are named resources", async ({ rest }) => {
  const { id } = (await rest("POST", "/v1/message:send", send("hi"))).json.task;
  const path = `/v1/tasks/${id}/pushNotificationConfigs`;
  const config = { id: "c", url: "https://hooks.example/a" };
  const made = await rest("POST", path, { pushNotificationConfig: config });
  assert.deepEqual(made.json, {
    name: `tasks/${id}/pushNotificationConfigs/c`,
    pushNotificationConfig: config,
  });
  assert.deepEqual((await rest("GET", path)).json.configs, [made.json]);
  assert.equal((await rest("DELETE", `${path}/c`)).status, 204);
});
